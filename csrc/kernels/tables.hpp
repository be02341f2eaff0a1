// Written by csrc/tables/generate.py; do not edit.
#pragma once

namespace gumbelfast {
namespace {

template <class T>
struct Tables;

template <>
struct Tables<float> {
  // relative error of the polynomials: log1p 3.68e-8, exp 3.04e-9
  alignas(64) static constexpr float reciprocal[16] = {
    0x1.f081b40000000p+0f, 0x1.d417a20000000p+0f, 0x1.bad6400000000p+0f, 0x1.a41fde0000000p+0f,
    0x1.8f972a0000000p+0f, 0x1.7d019a0000000p+0f, 0x1.6c13aa0000000p+0f, 0x1.5c94560000000p+0f,
    0x1.4e5f5e0000000p+0f, 0x1.4145280000000p+0f, 0x1.3524960000000p+0f, 0x1.29e3880000000p+0f,
    0x1.1f6d500000000p+0f, 0x1.15ae6e0000000p+0f, 0x1.0c94d20000000p+0f, 0x1.0000000000000p+0f};
  alignas(64) static constexpr float minus_log[16] = {
    0x1.5328a40000000p-1f, 0x1.34fc640000000p-1f, 0x1.18969e0000000p-1f, 0x1.fb43380000000p-2f,
    0x1.c7f2f80000000p-2f, 0x1.972e820000000p-2f, 0x1.68a3d20000000p-2f, 0x1.3c18e40000000p-2f,
    0x1.117cf80000000p-2f, 0x1.d11c5e0000000p-3f, 0x1.824e780000000p-3f, 0x1.365c120000000p-3f,
    0x1.da482a0000000p-4f, 0x1.4cfdec0000000p-4f, 0x1.8905a60000000p-5f, 0x0.0p+0f};
  static constexpr float log_q[3] = {
    -0x1.fffffe0000000p-2f, 0x1.55828c0000000p-2f, -0x1.0030440000000p-2f};
  static constexpr float log_q_fine[4] = {
    -0x1.fffffc0000000p-2f, 0x1.5555500000000p-2f, -0x1.0038de0000000p-2f, 0x1.9a05280000000p-3f};
  static constexpr float exp_q[5] = {
    0x1.fffffc0000000p-2f, 0x1.5554920000000p-3f, 0x1.5558ee0000000p-5f, 0x1.1239b80000000p-7f,
    0x1.6a276c0000000p-10f};
  static constexpr float ln2 = 0x1.62e4300000000p-1f;
  static constexpr float ln2_high = 0x1.62e4000000000p-1f;
  static constexpr float ln2_low = 0x1.7f7d1c0000000p-20f;
  static constexpr float log2_e = 0x1.7154760000000p+0f;
};

template <>
struct Tables<double> {
  // relative error of the polynomials: log1p 1.49e-17, exp 3.61e-18
  alignas(64) static constexpr double reciprocal[16] = {
    0x1.f07c1f07bf7fap+0, 0x1.d41d41d41ad18p+0, 0x1.bacf914c193c4p+0, 0x1.a41a41a41a41bp+0,
    0x1.8f9c18f9bf1eep+0, 0x1.7d05f417d05f9p+0, 0x1.6c16c16c16c16p+0, 0x1.5c9882b92e94bp+0,
    0x1.4e5e0a72f0532p+0, 0x1.4141414141417p+0, 0x1.3521cfb2b78c2p+0, 0x1.29e4129e3eb91p+0,
    0x1.1f7047dc1467fp+0, 0x1.15b1e5f74fffdp+0, 0x1.0c9714fbd014ap+0, 0x1.0000000000000p+0};
  alignas(64) static constexpr double minus_log[16] = {
    0x1.5322e26865011p-1, 0x1.35028ad9d61d8p-1, 0x1.188ee40f20f81p-1, 0x1.fb358af7a4886p-2,
    0x1.c7ff9c744f0bbp-2, 0x1.973a3431356bbp-2, 0x1.68ac83e9c6a12p-2, 0x1.3c2527732bed0p-2,
    0x1.1178e8227e465p-2, 0x1.d1037f2655e8ep-3, 0x1.823c16551a3c7p-3, 0x1.365fcb014839bp-3,
    0x1.da72763867334p-4, 0x1.4d3115d1e3e80p-4, 0x1.894aa14a45a94p-5, 0x0.0p+0};
  static constexpr double log_q[8] = {
    -0x1.fffffffffffb6p-2, 0x1.55555555554d1p-2, -0x1.00000000e87dcp-2, 0x1.9999999bf5628p-3,
    -0x1.55553cc6eaf04p-3, 0x1.24922e446d773p-3, -0x1.007ae443ec2dcp-3, 0x1.c80d9d9625298p-4};
  static constexpr double log_q_fine[9] = {
    -0x1.0000000000000p-1, 0x1.55555555554cfp-2, -0x1.ffffffffffdadp-3, 0x1.9999999bfd5cep-3,
    -0x1.55555558bd9d0p-3, 0x1.24922e0c19d51p-3, -0x1.ffffc1c587646p-4, 0x1.c80e82ff5e79fp-4,
    -0x1.9a8cd613fcdf1p-4};
  static constexpr double exp_q[10] = {
    0x1.000000000000ap-1, 0x1.55555555554fap-3, 0x1.5555555550885p-5, 0x1.1111111127966p-7,
    0x1.6c16c1842786bp-10, 0x1.a01a012b2b8a9p-13, 0x1.a0199a149fb3dp-16, 0x1.71df2383ec569p-19,
    0x1.28ad6a31a6a85p-22, 0x1.ad8238ef06539p-26};
  static constexpr double ln2 = 0x1.62e42fefa39efp-1;
  static constexpr double ln2_high = 0x1.62e42fefa3000p-1;
  static constexpr double ln2_low = 0x1.3de6af278ece6p-42;
  static constexpr double log2_e = 0x1.71547652b82fep+0;
};

}  // namespace
}  // namespace gumbelfast
