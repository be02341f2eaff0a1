// The binding: shapes and dtypes asserted, the GIL released, one call into the core. Users' mistakes are found before,
// in gumbelfast/_engine/checks.py.
#include "address.hpp"
#include "../csrc/diagnose.hpp"
#include "../csrc/weights.hpp"
#include "direct.hpp"
#include "tensors.hpp"
#ifdef GUMBELFAST_XLA
#include "xla.hpp"
#endif

namespace {

// Rows of ids, or those that bounds cut out of `size` entries, which need no ids.
gf::Entries entries_of(const py::object& ids, const py::object& bounds, int64_t size) {
  const uint64_t* const named = one_a_row<uint64_t>(ids, size);
  if (bounds.is_none()) {
    const int64_t cols = columns_of(py::reinterpret_borrow<py::array>(ids));
    return {named, nullptr, cols ? size / cols : 0, cols, size, cols};
  }
  const auto ends = py::reinterpret_borrow<py::array>(bounds);
  const auto* const end = one_a_row<int64_t>(bounds, ends.size());
  int64_t longest = 0;
  for (int64_t i = 1; i < ends.size(); ++i) longest = std::max(longest, end[i] - end[i - 1]);
  return {named, end, ends.size() - 1, 0, size, longest};
}

// The tuple of token sampling, one entry per row or None each, in the order of _core.pyi.
struct TokenSettings {
  const double* scale;
  const int64_t* top_k;
  const double *top_p, *min_p;
  gf::MoreFilters more;

  TokenSettings(const py::tuple& given, int64_t rows) {
    require(given.size() == 10, "need ten settings");
    const auto real = [&](size_t i) { return one_a_row<double>(given[i], rows); };
    const auto whole = [&](size_t i) { return one_a_row<int64_t>(given[i], rows); };
    scale = real(0), top_k = whole(1), top_p = real(2), min_p = real(3);
    more = {real(4), whole(5), real(6), real(7), real(8), real(9)};
  }
};

// A table of kernels as Python knows it: the class `Backend` of _core.pyi.
struct BackendObject {
  const gf::Backend* backend;

  void philox(uint64_t key, uint32_t domain, uint64_t block, py::array out) const {
    require(out.itemsize() == 4 && columns_of(out) == 4, "need uint32 of shape (n, 4)");
    backend->philox(key_of(key), domain, block, out.size() / 4, static_cast<uint32_t*>(mutable_data_of(out)));
  }

  void row_keys(const py::array& seeds, py::array keys) const {
    require(keys.itemsize() == 8, "keys have 64 bits");
    backend->row_keys(one_a_row<uint64_t>(seeds, keys.size()), keys.size(),
                      static_cast<uint64_t*>(mutable_data_of(keys)));
  }

  template <gf::Kernels<gf::NoiseArgs> gf::Backend::* kernels>
  int64_t noise(py::array out, double loc, double scale, int threads, const GivenAddress& at) const {
    const gf::NoiseArgs args{mutable_data_of(out), loc, scale, at.place.key, at.place.offset};
    const gf::DType dtype = dtype_of(out);
    return run<kernels>(dtype, args, out.size(), out.size(), threads);
  }

  int64_t gumbel_max(const GivenLogits& x, py::array index, MaybeArray perturbed, int threads,
                     const GivenAddress& at) const {
    const int64_t rows = index.size();
    const gf::SelectArgs args{x.rows, at.of(rows), 1, indices_of(index), values_of(perturbed, rows)};
    return run<&gf::Backend::gumbel_max>(x.dtype, args, rows, rows * x.rows.cols, threads);
  }

  int64_t gumbel_top_k(const GivenLogits& x, py::array index, py::array perturbed, int threads,
                       const GivenAddress& at) const {
    if (index.size() == 0) return 0;
    const int64_t k = columns_of(index), rows = index.size() / k;
    const gf::SelectArgs args{x.rows, at.of(rows), k, indices_of(index), values_of(perturbed, index.size())};
    return run<&gf::Backend::gumbel_top_k>(x.dtype, args, rows, rows * x.rows.cols, threads);
  }

  template <gf::Kernels<gf::NoiseAtArgs> gf::Backend::* kernels>
  int64_t noise_at(const py::array& ids, py::array out, int threads, const GivenAddress& at) const {
    if (ids.size() == 0) return 0;
    const gf::Entries entries = entries_of(ids, py::none(), ids.size());
    require(out.size() == ids.size(), "out does not fit");
    const gf::NoiseAtArgs args{entries, at.of(entries.rows), mutable_data_of(out)};
    return run<kernels>(dtype_of(out), args, ids.size(), ids.size(), threads);
  }

  template <gf::Kernels<gf::SelectAtArgs> gf::Backend::* kernels, bool several>
  int64_t select_at(const py::array& x, const py::object& scale, const py::object& ids, const py::object& bounds,
                    py::array index, MaybeArray perturbed, int threads, const GivenAddress& at) const {
    if (index.size() == 0) return 0;
    const gf::Entries entries = entries_of(ids, bounds, x.size());
    const int64_t k = several ? columns_of(index) : 1, rows = index.size() / k;
    const gf::DType dtype = dtype_of(x);
    require(entries.rows > 0 && (perturbed || !several), "arrays do not fit each other");
    const gf::SelectAtArgs args{entries, data_of(x),        scale_of(scale, entries.rows),     at.of(rows),
                                k,       indices_of(index), values_of(perturbed, index.size())};
    return run<kernels>(dtype, args, rows, rows * (x.size() / entries.rows), threads);
  }

  int64_t race(const GivenLogits& weights, const MaybeArray& tops, py::array index, MaybeArray perturbed,
               MaybeArray sum, int threads, const GivenAddress& at) const {
    if (index.size() == 0) return 0;
    const gf::Logits& from = weights.rows;
    const int64_t k = columns_of(index), rows = index.size() / k, stride = tops ? columns_of(*tops) : 0;
    require(!from.mask, "need no mask");
    require(!tops || (weights.fits_work(*tops, from.rows * stride) && stride >= (from.cols + 31) / 32 + 32),
            "tops do not fit");
    const gf::RaceArgs args{.weights = from,
                            .noise = at.of(rows),
                            .k = k,
                            .index = indices_of(index),
                            .perturbed = values_of(perturbed, index.size()),
                            .sum = values_of(sum, rows),
                            .tops = tops ? data_of(*tops) : nullptr,
                            .tops_stride = stride};
    return run<&gf::Backend::race>(weights.dtype, args, rows, rows * from.cols, threads);
  }

  bool refuses(const GivenLogits& x, int threads) const {
    return run<&gf::Backend::refuses>(x.dtype, gf::LookArgs{x.rows}, x.rows.rows, x.size, threads) < 0;
  }

  int64_t gumbel_softmax(const GivenLogits& x, MaybeArray soft, MaybeArray hard, int threads,
                         const GivenAddress& at) const {
    require(!x.rows.mask && (soft || hard), "need no mask, and a place for the result");
    require((!soft || x.fits(*soft)) && (!hard || x.fits(*hard)), "results do not fit");
    const int64_t rows = x.rows.rows;
    const gf::GumbelSoftmaxArgs args{x.rows, at.of(rows), mutable_data_of(soft), mutable_data_of(hard)};
    return status_of(x.size, [&] { return gf::gumbel_softmax(*backend, x.dtype, args, rows, workers_of(threads)); });
  }

  int64_t conditional_gumbel(const GivenLogits& x, const py::object& bound, const py::object& index, py::array out,
                             int threads, const GivenAddress& at) const {
    const int64_t rows = x.rows.rows;
    const gf::ConditionalArgs args{x.rows, at.of(rows), one_a_row<double>(bound, rows), one_a_row<int64_t>(index, rows),
                                   mutable_data_of(out)};
    require(!x.rows.mask && (args.bound || args.index), "need no mask, and a bound or an index");
    require(x.fits_work(out, x.size), "out does not fit");
    return run<&gf::Backend::conditional_gumbel>(x.dtype, args, rows, x.size, threads);
  }

  int64_t sample_tokens(const GivenLogits& x, const py::tuple& settings, py::array index, MaybeArray masses,
                        int threads, const GivenAddress& at) const {
    const int64_t rows = index.size();
    require(x.rows.rows == rows, "results do not fit");
    const TokenSettings asked(settings, rows);
    const gf::TokenArgs args{x.rows,
                             at.of(rows),
                             asked.scale,
                             asked.top_k,
                             asked.top_p,
                             asked.min_p,
                             indices_of(index),
                             asked.more,
                             values_of(masses, rows * gf::token_mass_fields)};
    return run<&gf::Backend::sample_tokens>(x.dtype, args, rows, x.size, threads);
  }

  int64_t token_edges(const GivenLogits& x, const py::tuple& settings, py::array edges, int threads) const {
    const int64_t rows = x.rows.rows;
    require(edges.size() == rows * gf::token_edge_fields && edges.itemsize() == 8, "results do not fit");
    const TokenSettings asked(settings, rows);
    const gf::TokenEdgeArgs args{x.rows,      asked.scale, asked.top_k,
                                 asked.top_p, asked.min_p, static_cast<double*>(mutable_data_of(edges)),
                                 asked.more};
    return run<&gf::Backend::token_edges>(x.dtype, args, rows, x.size, threads);
  }

  template <gf::Kernels<gf::SoftmaxArgs> gf::Backend::* kernels, bool reduced>
  void forward(const py::array& x, const py::object& scale, py::array out, int threads) const {
    const Rows rows = rows_of(x);
    require(out.size() == (reduced ? rows.count : x.size()) && out.itemsize() == x.itemsize(), "out does not fit");
    const gf::SoftmaxArgs args{rows.data, rows.cols, rows.stride, scale_of(scale, rows.count), mutable_data_of(out)};
    run<kernels>(dtype_of(x), args, rows.count, x.size(), threads);
  }

  template <gf::Kernels<gf::SoftmaxBackwardArgs> gf::Backend::* kernels>
  void backward(const py::array& grad, const py::array& y, const py::object& scale, py::array out, int threads) const {
    const Rows above = rows_of(grad), rows = rows_of(y);
    require(grad.size() == y.size() && out.size() == y.size() && grad.itemsize() == y.itemsize() &&
                out.itemsize() == y.itemsize(),
            "arrays do not fit each other");
    const gf::SoftmaxBackwardArgs args{
        above.data, rows.data, rows.cols, above.stride, rows.stride, scale_of(scale, rows.count), mutable_data_of(out)};
    run<kernels>(dtype_of(y), args, rows.count, y.size(), threads);
  }

  void alias_table(const py::array& bounds, py::array table, int threads) const {
    const int64_t cols = columns_of(bounds), rows = cols ? bounds.size() / cols : 0;
    const auto [words, bits] = table_of(table, rows);
    require(cols > 0 && cols <= int64_t{1} << bits && bounds.itemsize() == 8, "bounds do not fit");
    auto* out = static_cast<uint64_t*>(mutable_data_of(table));
    const auto* in = static_cast<const uint64_t*>(data_of(bounds));
    status_of(table.size(), [&, b = bits] { return gf::alias_tables(in, rows, cols, b, out, workers_of(threads)); });
  }

  int64_t draw_alias(const py::array& table, py::array index, int threads, const GivenAddress& at) const {
    const int64_t size = columns_of(table), rows = size ? table.size() / size : 0;
    const auto [words, bits] = table_of(table, rows);
    return draw<&gf::Backend::draw_alias>({.table = words, .rows = rows, .cols = size, .bits = bits}, index, threads,
                                          at);
  }

  int64_t draw_inverse(const py::array& bounds, const py::array& guide, py::array index, int threads,
                       const GivenAddress& at) const {
    const int64_t cols = columns_of(bounds), rows = cols ? bounds.size() / cols : 0;
    const auto [words, bits] = table_of(guide, rows);
    require(bounds.itemsize() == 8, "bounds do not fit");
    return draw<&gf::Backend::draw_inverse>({.bounds = static_cast<const uint64_t*>(data_of(bounds)),
                                             .guide = reinterpret_cast<const int64_t*>(words),
                                             .rows = rows,
                                             .cols = cols,
                                             .bits = bits},
                                            index, threads, at);
  }

  int64_t draw_integers(uint64_t below, py::array index, int threads, const GivenAddress& at) const {
    return draw<&gf::Backend::draw_integers>({.below = below}, index, threads, at);
  }

  int64_t draw_weights(const py::array& weights, py::array index, int threads, const GivenAddress& at) const {
    const Rows rows = rows_of(weights);
    const int64_t count = index.size();
    require(weights.itemsize() >= 4 && (rows.count > 0 || count == 0), "arrays do not fit");
    const gf::DrawArgs args{.weights = rows.data,
                            .stride = rows.stride,
                            .rows = rows.count,
                            .cols = rows.cols,
                            .key = at.place.key,
                            .offset = at.place.offset,
                            .index = indices_of(index)};
    const gf::DType dtype = dtype_of(weights);
    return status_of(count, [&] { return gf::draw_weights(*backend, dtype, args, count, workers_of(threads)); });
  }

  int64_t choose_by_words(const py::array& weights, py::array index, uint64_t block, int word, uint64_t key,
                          int threads) const {
    require(weights.ndim() == 1 && weights.size() > 0 && word >= 0 && word < 4, "need one row, and a word of a block");
    const double* const from = one_a_row<double>(weights, weights.size());
    const int64_t count = index.size();
    const gf::DrawArgs args{.weights = from,
                            .stride = weights.size(),
                            .rows = 1,
                            .cols = weights.size(),
                            .key = key_of(key),
                            .offset = block,
                            .word = word,
                            .index = indices_of(index)};
    return status_of(count + weights.size(),
                     [&] { return gf::draw_weights(*backend, gf::DType::f64, args, count, workers_of(threads)); });
  }

  int64_t viterbi(const py::array& unary, const py::array& pairwise, const py::array& parents, py::array index,
                  py::array score, int threads) const {
    const int64_t labels = columns_of(unary), nodes = columns_of(index), square = labels * labels;
    const int64_t rows = nodes ? index.size() / nodes : 0;
    const bool per_edge = pairwise.ndim() == 3;
    require(unary.size() == index.size() * labels && score.size() == rows && score.itemsize() == unary.itemsize() &&
                pairwise.itemsize() == unary.itemsize() && unary.itemsize() >= 4 &&
                pairwise.size() == (per_edge ? nodes - 1 : 1) * square,
            "arrays do not fit each other");
    const gf::ViterbiArgs args{
        data_of(unary),    data_of(pairwise),     per_edge, one_a_row<int64_t>(parents, nodes), nodes, labels,
        indices_of(index), mutable_data_of(score)};
    return run<&gf::Backend::viterbi>(dtype_of(unary), args, rows, unary.size(), threads);
  }

  template <class Args, gf::Kernels<Args> gf::Backend::* kernels>
  void iterate(const py::array& x, int64_t steps, const py::object& scale, py::array out, int threads) const {
    iterate_backward<Args, kernels>({}, x, steps, scale, std::move(out), threads);
  }

  template <class Args, gf::Kernels<Args> gf::Backend::* kernels>
  void iterate_backward(const MaybeArray& grad, const py::array& x, int64_t steps, const py::object& scale,
                        py::array out, int threads) const {
    Args args{{grad ? data_of(*grad) : nullptr, data_of(x), columns_of(x), steps, {}, mutable_data_of(out)}};
    const int64_t rows = args.cols ? x.size() / args.elements() : 0;
    require(x.size() == rows * args.elements() && fits_wide(x, out) && (!grad || fits_wide(x, *grad)),
            "arrays do not fit each other");
    args.scale = scale_of(scale, rows);
    run<kernels>(dtype_of(x), args, rows, x.size() * std::min<int64_t>(steps, 1000), threads);
  }

  void subset_marginals(const py::array& x, int64_t k, MaybeArray out, py::array log_sum, int threads) const {
    const int64_t cols = columns_of(x), rows = cols ? x.size() / cols : 0;
    require((!out || fits_wide(x, *out)) && log_sum.size() == rows && log_sum.itemsize() == x.itemsize(),
            "arrays do not fit each other");
    const gf::SubsetArgs args{nullptr, data_of(x), cols, k, mutable_data_of(out), mutable_data_of(log_sum)};
    run<&gf::Backend::subset_marginals>(dtype_of(x), args, rows, x.size() * (k + 1), threads);
  }

  void subset_marginals_backward(const py::array& grad, const py::array& x, int64_t k, py::array out,
                                 int threads) const {
    const int64_t cols = columns_of(x), rows = cols ? x.size() / cols : 0;
    require(fits_wide(x, out) && fits_wide(x, grad), "arrays do not fit each other");
    const gf::SubsetArgs args{data_of(grad), data_of(x), cols, k, mutable_data_of(out), nullptr};
    run<&gf::Backend::subset_marginals_backward>(dtype_of(x), args, rows, x.size() * (k + 1), threads);
  }

 private:
  // Whether both are float32 or float64, of one size.
  static bool fits_wide(const py::array& x, const py::array& other) {
    return x.itemsize() >= 4 && other.size() == x.size() && other.itemsize() == x.itemsize();
  }

  template <auto kernels, class Args>
  int64_t run(gf::DType dtype, const Args& args, int64_t items, int64_t elements, int threads) const {
    return status_of(elements, [&] { return gf::run(backend->*kernels, dtype, args, items, workers_of(threads)); });
  }

  template <gf::Kernels<gf::DrawArgs> gf::Backend::* kernels>
  int64_t draw(gf::DrawArgs args, py::array& index, int threads, const GivenAddress& at) const {
    require(args.rows > 0 || index.size() == 0, "results do not fit");
    args.key = at.place.key;
    args.offset = at.place.offset;
    args.index = indices_of(index);
    return run<kernels>(gf::DType::f64, args, index.size(), index.size(), threads);
  }
};

using Sizes = std::vector<int64_t>;

Sizes shape_of(const py::array& x) { return {x.shape(), x.shape() + x.ndim()}; }

// (kind, row, column, count)
using Found = std::tuple<std::string, int64_t, int64_t, int64_t>;
constexpr const char* fault_names[] = {"nan", "infinite", "empty", "few", "overflow"};

Found diagnose(const GivenLogits& x, int64_t wanted) {
  const gf::Diagnosis found = gf::diagnose(x.dtype, x.rows, wanted);
  return {fault_names[static_cast<int>(found.fault)], found.row, found.column, found.count};
}

std::string words_of(const Found& found, const Sizes& shape, int64_t axis, int64_t wanted, const std::string& what,
                     const std::string& owner) {
  const auto& [kind, row, column, count] = found;
  const auto fault = std::find(std::begin(fault_names), std::end(fault_names), kind) - std::begin(fault_names);
  return gf::words_of({static_cast<gf::Fault>(fault), row, column, count}, shape, axis, wanted, what, owner);
}

}  // namespace

PYBIND11_MODULE(_core, m, py::mod_gil_not_used()) {
  m.doc() = "Compiled kernels; the stub file _core.pyi says what each does.";
  py::class_<BackendObject>(m, "Backend")
      .def_property_readonly("name", [](const BackendObject& b) { return b.backend->name; })
      .def("philox", &BackendObject::philox)
      .def("row_keys", &BackendObject::row_keys)
      .def("gumbel", &BackendObject::noise<&gf::Backend::gumbel>)
      .def("exponential", &BackendObject::noise<&gf::Backend::exponential>)
      .def("gumbel_max", &BackendObject::gumbel_max)
      .def("gumbel_top_k", &BackendObject::gumbel_top_k)
      .def("gumbel_at", &BackendObject::noise_at<&gf::Backend::gumbel_at>)
      .def("exponential_at", &BackendObject::noise_at<&gf::Backend::exponential_at>)
      .def("gumbel_max_at", &BackendObject::select_at<&gf::Backend::gumbel_max_at, false>)
      .def("gumbel_top_k_at", &BackendObject::select_at<&gf::Backend::gumbel_top_k_at, true>)
      .def("race", &BackendObject::race)
      .def("refuses", &BackendObject::refuses)
      .def("gumbel_softmax", &BackendObject::gumbel_softmax)
      .def("conditional_gumbel", &BackendObject::conditional_gumbel)
      .def("sample_tokens", &BackendObject::sample_tokens)
      .def("token_edges", &BackendObject::token_edges)
      .def("softmax", &BackendObject::forward<&gf::Backend::softmax, false>)
      .def("log_softmax", &BackendObject::forward<&gf::Backend::log_softmax, false>)
      .def("logsumexp", &BackendObject::forward<&gf::Backend::logsumexp, true>)
      .def("softmax_backward", &BackendObject::backward<&gf::Backend::softmax_backward>)
      .def("log_softmax_backward", &BackendObject::backward<&gf::Backend::log_softmax_backward>)
      .def("alias_table", &BackendObject::alias_table)
      .def("draw_alias", &BackendObject::draw_alias)
      .def("draw_inverse", &BackendObject::draw_inverse)
      .def("draw_integers", &BackendObject::draw_integers)
      .def("draw_weights", &BackendObject::draw_weights)
      .def("choose_by_words", &BackendObject::choose_by_words)
      .def("viterbi", &BackendObject::viterbi)
      .def("relaxed_top_k", &BackendObject::iterate<gf::RelaxedTopKArgs, &gf::Backend::relaxed_top_k>)
      .def("relaxed_top_k_backward",
           &BackendObject::iterate_backward<gf::RelaxedTopKArgs, &gf::Backend::relaxed_top_k_backward>)
      .def("sinkhorn", &BackendObject::iterate<gf::SinkhornArgs, &gf::Backend::sinkhorn>)
      .def("sinkhorn_backward", &BackendObject::iterate_backward<gf::SinkhornArgs, &gf::Backend::sinkhorn_backward>)
      .def("subset_marginals", &BackendObject::subset_marginals)
      .def("subset_marginals_backward", &BackendObject::subset_marginals_backward);
  m.def("backends", [] {
    py::list out;
    for (const gf::Backend* backend : gf::usable_backends()) out.append(py::cast(BackendObject{backend}));
    return out;
  });
  m.def("bounds_of", [](const py::array& weights, py::array bounds) {
    const Rows rows = rows_of(weights);
    require(bounds.size() == weights.size() && bounds.itemsize() == 8, "bounds do not fit");
    const double* const from = one_a_row<double>(weights, weights.size());
    auto* const out = static_cast<uint64_t*>(mutable_data_of(bounds));
    for (int64_t at = 0; at < weights.size(); at += rows.cols) gf::bounds_of(from + at, rows.cols, out + at);
  });
  m.def("guide_of", [](const py::array& bounds, py::array guide) {
    const int64_t cols = columns_of(bounds), rows = cols ? bounds.size() / cols : 0;
    const auto [words, bits] = table_of(guide, rows);
    const uint64_t* const from = one_a_row<uint64_t>(bounds, bounds.size());
    auto* const out = static_cast<int64_t*>(mutable_data_of(guide));
    for (int64_t row = 0; row < rows; ++row) gf::guide_of(from + row * cols, bits, out + (row << bits));
  });
  m.def("diagnose", diagnose);
  m.def("words_of", words_of);
  m.def("fault_of_weights", [](const py::array& p, int64_t distinct) {
    return gf::fault_of_weights(dtype_of(p), data_of(p), shape_of(p), distinct);
  });
  m.def("fault_of_inverses", [](const py::array& inverses) {
    return gf::fault_of_inverses(dtype_of(inverses), data_of(inverses), shape_of(inverses));
  });
  if (!gf::add_tensor_functions(m.ptr())) throw py::error_already_set();
  m.def("direct", [](const py::object& function) {
    const gf::Step* const step = gf::find_step(function.attr("__qualname__").cast<std::string>().c_str());
    PyObject* const made = step ? gf::make_direct(function.ptr(), *step) : nullptr;
    if (!made) throw py::error_already_set();
    return py::reinterpret_steal<py::object>(made);
  });
  m.def("know", [](py::object active, const py::list& backends, py::object generator, py::object random,
                   py::object thread_count, py::object top_k) {
    gf::Known known{.active = active.release().ptr(),
                    .backends = {},
                    .generator = generator.release().ptr(),
                    .random = random.release().ptr(),
                    .thread_count = thread_count.release().ptr(),
                    .top_k = top_k.release().ptr()};
    for (const py::handle each : backends)
      known.backends.emplace_back(each.inc_ref().ptr(), each.cast<const BackendObject&>().backend);
    gf::known = known;
  });
  m.def("xla_handlers", [] {
    py::dict out;
#ifdef GUMBELFAST_XLA
    for (const auto& [name, handler] : gf::xla_handlers()) out[name] = py::capsule(handler);
#endif
    return out;
  });
}
