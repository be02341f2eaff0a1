// Written by tools/coefficients.sollya; do not edit.
#pragma once

namespace gumbelfast {
namespace {

template <class T>
struct Coefficients;

template <>
struct Coefficients<float> {
  // (-log(1 - y) - y) / y**2 on [0, 1/2]: the logarithm, relatively, to 2**-27.96875.
  static constexpr float excess[9] = {
    0x1.00001ep-1f,
    0x1.5542fcp-2f,
    0x1.01e912p-2f,
    0x1.684526p-3f,
    0x1.5bf774p-2f,
    -0x1.2ebf56p-1f,
    0x1.f8079cp0f,
    -0x1.3caf4ep1f,
    0x1.be09cap0f};
  // The same on [-1/2, 1/4], absolutely, to 2**-27.4765625.
  static constexpr float log[8] = {
    0x1.00002ap-1f,
    0x1.5555e2p-2f,
    0x1.ffccbp-3f,
    0x1.99163ep-3f,
    0x1.597338p-3f,
    0x1.340b24p-3f,
    0x1.e7aacap-4f,
    0x1.a6a6dap-5f};
  // (exp(r) - 1 - r) / r**2 for |r| <= log(2) / 2: the exponential, relatively, to 2**-28.1796875.
  static constexpr float exp[5] = {
    0x1.fffffap-2f,
    0x1.555492p-3f,
    0x1.555a26p-5f,
    0x1.12397cp-7f,
    0x1.694c86p-10f};
  static constexpr float ln2 = 0x1.62e43p-1f;
  static constexpr float ln2_high = 0x1.62e4p-1f;
  static constexpr float ln2_low = 0x1.7f7d1cp-20f;
  static constexpr float log2_e = 0x1.715476p0f;
};

template <>
struct Coefficients<double> {
  // (-log(1 - y) - y) / y**2 on [0, 1/2]: the logarithm, relatively, to 2**-57.03125.
  static constexpr double excess[20] = {
    0x1.fffffffffff79p-2,
    0x1.5555555560ebep-2,
    0x1.fffffff4cb1edp-3,
    0x1.99999c5d9a211p-3,
    0x1.5554ec32c6f1bp-3,
    0x1.249c996cbd7d6p-3,
    0x1.fe94de63fb93bp-4,
    0x1.d954bbdb5075ep-4,
    0x1.d41a0d4041e4bp-5,
    0x1.a066648a561ddp-2,
    -0x1.b7ab439b751c9p0,
    0x1.02b713d37d544p3,
    -0x1.bbebf9e43e9bp4,
    0x1.2d1dc61c63b52p6,
    -0x1.395b0cef6c6cep7,
    0x1.ee62f283f4568p7,
    -0x1.1d8740d5ddefcp8,
    0x1.c9aed5f3c46dcp7,
    -0x1.c815d25d36208p6,
    0x1.af901a6de0447p4};
  // The same on [-1/2, 1/4], absolutely, to 2**-59.140625.
  static constexpr double log[20] = {
    0x1.ffffffffffff1p-2,
    0x1.5555555555695p-2,
    0x1.0000000001c4cp-2,
    0x1.9999999974177p-3,
    0x1.5555555310656p-3,
    0x1.2492492fdff5dp-3,
    0x1.000000b42eb33p-3,
    0x1.c71c6f901b76ap-4,
    0x1.99995d39d2a85p-4,
    0x1.745cedfa2b51ep-4,
    0x1.555ad396a7c1bp-4,
    0x1.3b2137a618d4fp-4,
    0x1.24561ce3101fp-4,
    0x1.0ff275d001796p-4,
    0x1.002c18b9fdb18p-4,
    0x1.f48ffa66c212dp-5,
    0x1.eaa08dbc05a0ep-5,
    0x1.9ba05af486fdfp-5,
    0x1.d34c2e98b3629p-6,
    0x1.f6103072b831ep-8};
  // (exp(r) - 1 - r) / r**2 for |r| <= log(2) / 2: the exponential, relatively, to 2**-57.859375.
  static constexpr double exp[10] = {
    0x1.000000000000ap-1,
    0x1.55555555554fep-3,
    0x1.55555555506cp-5,
    0x1.1111111126b37p-7,
    0x1.6c16c18475a18p-10,
    0x1.a01a012fec2f7p-13,
    0x1.a0199963c9dap-16,
    0x1.71df18fbc7306p-19,
    0x1.28adf7a18786ep-22,
    0x1.ad92c7dc3b953p-26};
  static constexpr double ln2 = 0x1.62e42fefa39efp-1;
  static constexpr double ln2_high = 0x1.62e42fefa3p-1;
  static constexpr double ln2_low = 0x1.3de6af278ece6p-42;
  static constexpr double log2_e = 0x1.71547652b82fep0;
};

}  // namespace
}  // namespace gumbelfast
