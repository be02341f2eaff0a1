// Every kernel on the vocabulary that the including file chose, gathered in the backend's table.
#include "../kernels/philox.hpp"
#include "../kernels/elementary.hpp"
#include "../kernels/rows.hpp"
#include "../kernels/short_rows.hpp"
#include "../kernels/tiles.hpp"
#include "../kernels/noise.hpp"
#include "../kernels/scan.hpp"
#include "../kernels/groups.hpp"
#include "../kernels/gumbel_max.hpp"
#include "../kernels/refusal.hpp"
#include "../kernels/select.hpp"
#include "../kernels/top_k.hpp"
#include "../kernels/softmax.hpp"
#include "../kernels/softmax_backward.hpp"
#include "../kernels/gumbel_softmax.hpp"
#include "../kernels/conditional.hpp"
#include "../kernels/draw.hpp"
#include "../kernels/mass.hpp"
#include "../kernels/survivors.hpp"
#include "../kernels/tokens.hpp"
#include "../kernels/viterbi.hpp"

#define GUMBELFAST_TEXT_OF(name) #name
#define GUMBELFAST_TEXT(name) GUMBELFAST_TEXT_OF(name)
#define GUMBELFAST_TABLE_OF(name) name##_backend
#define GUMBELFAST_TABLE(name) GUMBELFAST_TABLE_OF(name)
// In the order of DType.
#define GF_FLOATS(kernel) {kernel<float>, kernel<double>, kernel<Half>, kernel<BFloat>}
#define GF_WIDE(kernel) {kernel<float>, kernel<double>}
#define GF_WORDS(kernel) {kernel, kernel, kernel, kernel}
#define GF_KERNEL(name, Args, types) .name = {types(name)},

namespace gumbelfast {

extern const Backend GUMBELFAST_TABLE(GUMBELFAST_BACKEND_NAME);
const Backend GUMBELFAST_TABLE(GUMBELFAST_BACKEND_NAME) = {
    .name = GUMBELFAST_TEXT(GUMBELFAST_BACKEND_NAME),
    .philox = philox_words,
    .row_keys = row_keys,
#include "../kernels.def"
};

}  // namespace gumbelfast
