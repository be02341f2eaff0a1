// Every kernel on the vocabulary that the including file chose, gathered in the backend's table.
#include "../kernels.def"  // the code of the kernels; below, their list

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
