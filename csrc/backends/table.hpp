// Every kernel on the vocabulary that the including file chose, gathered in the backend's table.
#include "../kernels/philox.hpp"
#include "../kernels/elementary.hpp"
#include "../kernels/rows.hpp"
#include "../kernels/short_rows.hpp"
#include "../kernels/tiles.hpp"
#include "../kernels/noise.hpp"
#include "../kernels/perturbed.hpp"
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
#define GUMBELFAST_EACH_TYPE(kernel) {kernel<float>, kernel<double>, kernel<Half>, kernel<BFloat>}

namespace gumbelfast {

extern const Backend GUMBELFAST_TABLE(GUMBELFAST_BACKEND_NAME);
const Backend GUMBELFAST_TABLE(GUMBELFAST_BACKEND_NAME) = {
    .name = GUMBELFAST_TEXT(GUMBELFAST_BACKEND_NAME),
    .philox = philox_words,
    .row_keys = row_keys,
    .gumbel = GUMBELFAST_EACH_TYPE(gumbel),
    .exponential = GUMBELFAST_EACH_TYPE(exponential),
    .gumbel_max = GUMBELFAST_EACH_TYPE(gumbel_max),
    .gumbel_top_k = GUMBELFAST_EACH_TYPE(gumbel_top_k),
    .refuses = GUMBELFAST_EACH_TYPE(refuses),
    .gumbel_softmax = GUMBELFAST_EACH_TYPE(gumbel_softmax),
    .conditional_gumbel = GUMBELFAST_EACH_TYPE(conditional_gumbel),
    .sample_tokens = GUMBELFAST_EACH_TYPE(sample_tokens),
    .softmax = GUMBELFAST_EACH_TYPE(softmax),
    .log_softmax = GUMBELFAST_EACH_TYPE(log_softmax),
    .logsumexp = GUMBELFAST_EACH_TYPE(logsumexp),
    .softmax_backward = GUMBELFAST_EACH_TYPE(softmax_backward),
    .log_softmax_backward = GUMBELFAST_EACH_TYPE(log_softmax_backward),
    .draw_alias = draw_alias,
    .draw_inverse = draw_inverse,
    .draw_weights = {draw_weights<float>, draw_weights<double>},
    .viterbi = {viterbi<float>, viterbi<double>},
};

}  // namespace gumbelfast
