// The binding: shapes and dtypes asserted, the GIL released, one call into the core. Users' mistakes are found before,
// in gumbelfast/_engine/checks.py.
#include "arrays.hpp"
#include "direct.hpp"
#include "tensors.hpp"
#ifdef GUMBELFAST_XLA
#include "xla.hpp"
#endif

namespace {

struct Bound {
  const gf::Backend* backend;

  void philox(uint64_t key, uint32_t domain, uint64_t block, py::array out) const {
    require(out.itemsize() == 4 && columns_of(out) == 4, "need uint32 of shape (n, 4)");
    backend->philox(key_of(key), domain, block, out.size() / 4, static_cast<uint32_t*>(mutable_data_of(out)));
  }

  void row_keys(const py::array& seeds, py::array keys) const {
    require(keys.itemsize() == 8, "keys have 64 bits");
    backend->row_keys(words_of(seeds, keys.size()), keys.size(), static_cast<uint64_t*>(mutable_data_of(keys)));
  }

  template <gf::NoiseKernel (gf::Backend::*table)[gf::dtype_count]>
  void noise(py::array out, double loc, double scale, uint64_t key, uint64_t offset, int threads) const {
    const gf::NoiseArgs args{mutable_data_of(out), loc, scale, key_of(key), offset};
    const gf::NoiseKernel kernel = (backend->*table)[static_cast<int>(dtype_of(out))];
    const int64_t count = out.size();
    run(count, [&] { return gf::fill(kernel, args, count, workers_of(threads)); });
  }

  int64_t gumbel_max(const py::array& x, const MaybeArray& mask, const py::object& scale, py::array index,
                     MaybeArray perturbed, int threads, uint64_t key, uint64_t offset, uint64_t row_stride,
                     const MaybeArray& keys, const MaybeArray& offsets) const {
    const int64_t rows = index.size();
    const gf::Logits logits = logits_of(x, mask, scale);
    const gf::Address address{key_of(key), offset, row_stride, words_of(keys, rows), words_of(offsets, rows)};
    require(index.itemsize() == 8 && (!perturbed || (perturbed->size() == rows && perturbed->itemsize() == 8)),
            "results do not fit");
    auto* out = static_cast<int64_t*>(mutable_data_of(index));
    auto* value = static_cast<double*>(mutable_data_of(perturbed));
    const gf::DType dtype = dtype_of(x);
    return run(rows * logits.cols,
               [&] { return gf::gumbel_max(*backend, dtype, logits, address, rows, out, value, workers_of(threads)); });
  }

  int64_t gumbel_top_k(const py::array& x, const MaybeArray& mask, const py::object& scale, py::array index,
                       py::array perturbed, int threads, uint64_t key, uint64_t offset, uint64_t row_stride,
                       const MaybeArray& keys, const MaybeArray& offsets) const {
    if (index.size() == 0) return 0;
    const int64_t k = columns_of(index);
    require(k > 0 && index.itemsize() == 8 && perturbed.size() == index.size() && perturbed.itemsize() == 8,
            "results do not fit");
    const int64_t rows = index.size() / k;
    const gf::Logits logits = logits_of(x, mask, scale);
    const gf::Address address{key_of(key), offset, row_stride, words_of(keys, rows), words_of(offsets, rows)};
    auto* out = static_cast<int64_t*>(mutable_data_of(index));
    auto* value = static_cast<double*>(mutable_data_of(perturbed));
    const gf::DType dtype = dtype_of(x);
    return run(rows * logits.cols, [&] {
      return gf::gumbel_top_k(*backend, dtype, logits, address, rows, k, out, value, workers_of(threads));
    });
  }

  bool refuses(const py::array& x, int threads) const {
    const gf::Logits logits = logits_of(x, std::nullopt, {});
    const gf::DType dtype = dtype_of(x);
    return run(x.size(), [&] { return gf::refuses(*backend, dtype, logits, workers_of(threads)); }) < 0;
  }

  int64_t gumbel_softmax(const py::array& x, const py::object& inv_tau, MaybeArray soft, MaybeArray hard, int threads,
                         uint64_t key, uint64_t offset, uint64_t row_stride, const MaybeArray& keys,
                         const MaybeArray& offsets) const {
    const gf::Logits logits = logits_of(x, std::nullopt, inv_tau);
    const gf::Address address{key_of(key), offset, row_stride, words_of(keys, logits.rows),
                              words_of(offsets, logits.rows)};
    require(soft || hard, "need a place for the result");
    require(!soft || (soft->size() == x.size() && soft->itemsize() == x.itemsize()), "soft does not fit");
    require(!hard || (hard->size() == x.size() && hard->itemsize() == x.itemsize()), "hard does not fit");
    const gf::GumbelSoftmaxArgs args{logits, address, mutable_data_of(soft), mutable_data_of(hard)};
    const gf::DType dtype = dtype_of(x);
    return run(x.size(), [&] { return gf::gumbel_softmax(*backend, dtype, args, logits.rows, workers_of(threads)); });
  }

  int64_t conditional_gumbel(const py::array& x, const MaybeArray& bound, const MaybeArray& index, py::array out,
                             int threads, uint64_t key, uint64_t offset, uint64_t row_stride, const MaybeArray& keys,
                             const MaybeArray& offsets) const {
    const gf::Logits logits = logits_of(x, std::nullopt, {});
    const int64_t rows = logits.rows;
    const gf::DType dtype = dtype_of(x);
    require(bound || index, "need a bound or an index");
    require(out.size() == x.size() && out.itemsize() == (dtype == gf::DType::f64 ? 8 : 4), "out does not fit");
    const gf::ConditionalArgs args{logits,
                                   {key_of(key), offset, row_stride, words_of(keys, rows), words_of(offsets, rows)},
                                   one_a_row<double>(bound, rows),
                                   one_a_row<int64_t>(index, rows),
                                   mutable_data_of(out)};
    return run(x.size(), [&] { return gf::conditional_gumbel(*backend, dtype, args, rows, workers_of(threads)); });
  }

  int64_t sample_tokens(const py::array& x, const MaybeArray& mask, const py::array& scale, const MaybeArray& top_k,
                        const MaybeArray& top_p, const MaybeArray& min_p, py::array index, int threads, uint64_t key,
                        uint64_t offset, uint64_t row_stride, const MaybeArray& keys, const MaybeArray& offsets) const {
    const int64_t rows = index.size();
    const gf::Logits logits = logits_of(x, mask, {});
    require(logits.rows == rows && index.itemsize() == 8, "results do not fit");
    const gf::TokenArgs args{logits,
                             {key_of(key), offset, row_stride, words_of(keys, rows), words_of(offsets, rows)},
                             one_a_row<double>(scale, rows),
                             one_a_row<int64_t>(top_k, rows),
                             one_a_row<double>(top_p, rows),
                             one_a_row<double>(min_p, rows),
                             static_cast<int64_t*>(mutable_data_of(index))};
    const gf::DType dtype = dtype_of(x);
    return run(x.size(), [&] { return gf::sample_tokens(*backend, dtype, args, rows, workers_of(threads)); });
  }

  template <gf::RowKernel (gf::Backend::*table)[gf::dtype_count], bool one_a_row>
  void forward(const py::array& x, const py::object& scale, py::array out, int threads) const {
    const Rows rows = rows_of(x);
    require(out.size() == (one_a_row ? rows.count : x.size()) && out.itemsize() == x.itemsize(), "out does not fit");
    const gf::SoftmaxArgs args{rows.data, rows.cols, rows.stride, scale_of(scale, rows.count), mutable_data_of(out)};
    const gf::RowKernel kernel = (backend->*table)[static_cast<int>(dtype_of(x))];
    run(x.size(), [&] { return gf::over_rows(kernel, args, rows.count, workers_of(threads)); });
  }

  template <gf::BackwardKernel (gf::Backend::*table)[gf::dtype_count]>
  void backward(const py::array& grad, const py::array& y, const py::object& scale, py::array out, int threads) const {
    const Rows above = rows_of(grad), rows = rows_of(y);
    require(grad.size() == y.size() && out.size() == y.size() && grad.itemsize() == y.itemsize() &&
                out.itemsize() == y.itemsize(),
            "arrays do not fit each other");
    const gf::SoftmaxBackwardArgs args{
        above.data, rows.data, rows.cols, above.stride, rows.stride, scale_of(scale, rows.count), mutable_data_of(out)};
    const gf::BackwardKernel kernel = (backend->*table)[static_cast<int>(dtype_of(y))];
    run(y.size(), [&] { return gf::over_rows(kernel, args, rows.count, workers_of(threads)); });
  }

  void alias_table(const py::array& bounds, py::array table, int threads) const {
    const int64_t cols = columns_of(bounds), rows = cols ? bounds.size() / cols : 0;
    const auto [words, bits] = table_of(table, rows);
    require(cols > 0 && cols <= int64_t{1} << bits && bounds.itemsize() == 8, "bounds do not fit");
    auto* out = static_cast<uint64_t*>(mutable_data_of(table));
    const auto* in = static_cast<const uint64_t*>(data_of(bounds));
    run(table.size(), [&, b = bits] { return gf::alias_tables(in, rows, cols, b, out, workers_of(threads)); });
  }

  void draw_alias(const py::array& table, py::array index, int threads, uint64_t key, uint64_t offset) const {
    const int64_t size = columns_of(table), rows = size ? table.size() / size : 0;
    const auto [words, bits] = table_of(table, rows);
    draw(backend->draw_alias,
         {.table = words, .rows = rows, .cols = size, .bits = bits, .key = key_of(key), .offset = offset}, index,
         threads);
  }

  void draw_inverse(const py::array& bounds, const py::array& guide, py::array index, int threads, uint64_t key,
                    uint64_t offset) const {
    const int64_t cols = columns_of(bounds), rows = cols ? bounds.size() / cols : 0;
    const auto [words, bits] = table_of(guide, rows);
    require(bounds.itemsize() == 8, "bounds do not fit");
    draw(backend->draw_inverse,
         {.bounds = static_cast<const uint64_t*>(data_of(bounds)),
          .guide = reinterpret_cast<const int64_t*>(words),
          .rows = rows,
          .cols = cols,
          .bits = bits,
          .key = key_of(key),
          .offset = offset},
         index, threads);
  }

  int64_t draw_weights(const py::array& weights, py::array index, int threads, uint64_t key, uint64_t offset) const {
    const Rows rows = rows_of(weights);
    require(index.itemsize() == 8 && weights.itemsize() >= 4 && (rows.count > 0 || index.size() == 0),
            "arrays do not fit");
    const gf::DrawArgs args{.weights = rows.data,
                            .stride = rows.stride,
                            .rows = rows.count,
                            .cols = rows.cols,
                            .key = key_of(key),
                            .offset = offset,
                            .index = static_cast<int64_t*>(mutable_data_of(index))};
    const gf::DType dtype = dtype_of(weights);
    const int64_t count = index.size();
    return run(count, [&] { return gf::draw_weights(*backend, dtype, args, count, workers_of(threads)); });
  }

  int64_t viterbi(const py::array& unary, const py::array& pairwise, const py::array& parents, py::array index,
                  py::array score, int threads) const {
    const int64_t labels = columns_of(unary), nodes = columns_of(index), square = labels * labels;
    const int64_t rows = nodes ? index.size() / nodes : 0;
    const bool per_edge = pairwise.ndim() == 3;
    require(unary.size() == index.size() * labels && score.size() == rows && index.itemsize() == 8 &&
                score.itemsize() == unary.itemsize() && pairwise.itemsize() == unary.itemsize() &&
                unary.itemsize() >= 4 && pairwise.size() == (per_edge ? nodes - 1 : 1) * square,
            "arrays do not fit each other");
    const gf::ViterbiArgs args{data_of(unary),
                               data_of(pairwise),
                               per_edge,
                               one_a_row<int64_t>(parents, nodes),
                               nodes,
                               labels,
                               static_cast<int64_t*>(mutable_data_of(index)),
                               mutable_data_of(score)};
    const gf::DType dtype = dtype_of(unary);
    return run(unary.size(), [&] { return gf::viterbi(*backend, dtype, args, rows, workers_of(threads)); });
  }

  static void draw(gf::DrawKernel kernel, gf::DrawArgs args, py::array& index, int threads) {
    require(index.itemsize() == 8 && (args.rows > 0 || index.size() == 0), "results do not fit");
    args.index = static_cast<int64_t*>(mutable_data_of(index));
    const int64_t count = index.size();
    run(count, [&] { return gf::over_draws(kernel, args, count, workers_of(threads)); });
  }
};

}  // namespace

PYBIND11_MODULE(_core, m, py::mod_gil_not_used()) {
  m.doc() = "Compiled kernels; the stub file _core.pyi says what each does.";
  py::class_<Bound>(m, "Backend")
      .def_property_readonly("name", [](const Bound& b) { return b.backend->name; })
      .def("philox", &Bound::philox)
      .def("row_keys", &Bound::row_keys)
      .def("gumbel", &Bound::noise<&gf::Backend::gumbel>)
      .def("exponential", &Bound::noise<&gf::Backend::exponential>)
      .def("gumbel_max", &Bound::gumbel_max)
      .def("gumbel_top_k", &Bound::gumbel_top_k)
      .def("refuses", &Bound::refuses)
      .def("gumbel_softmax", &Bound::gumbel_softmax)
      .def("conditional_gumbel", &Bound::conditional_gumbel)
      .def("sample_tokens", &Bound::sample_tokens)
      .def("softmax", &Bound::forward<&gf::Backend::softmax, false>)
      .def("log_softmax", &Bound::forward<&gf::Backend::log_softmax, false>)
      .def("logsumexp", &Bound::forward<&gf::Backend::logsumexp, true>)
      .def("softmax_backward", &Bound::backward<&gf::Backend::softmax_backward>)
      .def("log_softmax_backward", &Bound::backward<&gf::Backend::log_softmax_backward>)
      .def("alias_table", &Bound::alias_table)
      .def("draw_alias", &Bound::draw_alias)
      .def("draw_inverse", &Bound::draw_inverse)
      .def("draw_weights", &Bound::draw_weights)
      .def("viterbi", &Bound::viterbi);
  m.def("backends", [] {
    py::list out;
    for (const gf::Backend* backend : gf::usable_backends()) out.append(py::cast(Bound{backend}));
    return out;
  });
  if (!gf::add_tensor_functions(m.ptr())) throw py::error_already_set();
  m.def("direct", [](const py::object& function) {
    const gf::Step* const step = gf::find_step(function.attr("__qualname__").cast<std::string>().c_str());
    PyObject* const made = step ? gf::make_direct(function.ptr(), *step) : nullptr;
    if (!made) throw py::error_already_set();
    return py::reinterpret_steal<py::object>(made);
  });
  m.def("know",
        [](py::object active, const py::list& backends, py::object generator, py::object random, py::object top_k) {
          gf::Known known{
              active.release().ptr(), {}, generator.release().ptr(), random.release().ptr(), top_k.release().ptr()};
          for (const py::handle each : backends)
            known.backends.emplace_back(each.inc_ref().ptr(), each.cast<const Bound&>().backend);
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
