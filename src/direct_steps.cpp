// The steps: for each function the calls that most are. What a kernel refuses is declined as well, with the
// generator where it was: Python finds the words.
#include "direct_arguments.hpp"

#include <cmath>
#include <string_view>

namespace gumbelfast {
namespace {

PyObject* draw_categorical(const Given& given) {
  Draw draw;
  if (!draw.prepare(given, given[Name::temperature], any_size)) return nullptr;
  return one_a_row(draw.x, NPY_INT64, [&](void* index) {
    return draw.run([&](const Workers& workers) {
      const SelectArgs args{draw.logits, draw.address, 1, static_cast<int64_t*>(index), nullptr};
      return run(draw.backend->gumbel_max, draw.x.dtype, args, draw.x.count, workers);
    });
  });
}

// A filter's number, between none at all and that which filters nothing; false if it is to be declined.
bool read_filter(PyObject* given, double greatest, double& value) {
  if (is_left_out(given)) return true;
  if (!PyFloat_CheckExact(given)) return false;
  value = PyFloat_AS_DOUBLE(given);
  return value > 0 && value <= greatest;
}
bool read_count(PyObject* given, int64_t& value) {
  return is_left_out(given) || integer(given, 1, std::numeric_limits<int64_t>::max(), value);
}

// Settings are the same for all rows here. Numbers that filter nothing are left out, as Python leaves them out.
template <bool of_tensors>
PyObject* draw_tokens(const Given& given) {
  constexpr double finite = std::numeric_limits<double>::max();
  int64_t k = 0, least = 0;
  double top_p = 1, min_p = 0, sigmas = 0, typical_p = 1, epsilon = 0, eta = 0, scale = 0;
  PyObject *const temperature = given[Name::temperature], *const last = given[Name::temperature_last];
  const bool greedy = temperature && PyFloat_CheckExact(temperature) && PyFloat_AS_DOUBLE(temperature) == 0;
  if (!read_count(given[Name::top_k], k) || !read_count(given[Name::min_tokens_to_keep], least) ||
      !read_filter(given[Name::top_p], 1, top_p) || !read_filter(given[Name::min_p], 1, min_p) ||
      !read_filter(given[Name::top_n_sigma], finite, sigmas) || !read_filter(given[Name::typical_p], 1, typical_p) ||
      !read_filter(given[Name::epsilon_cutoff], 1, epsilon) || !read_filter(given[Name::eta_cutoff], 1, eta) ||
      (last && last != Py_True && last != Py_False) || (!greedy && !reciprocal(temperature, scale)))
    return nullptr;
  Draw draw;
  if (!draw.x.read_any(given[Name::logits], of_tensors) || !draw.prepare_rows(given)) return nullptr;
  const auto rows = static_cast<size_t>(draw.x.count);
  std::vector<double> numbers;
  std::vector<int64_t> counts;
  numbers.reserve(8 * rows);
  counts.reserve(2 * rows);
  const auto each = [rows](auto value, auto nothing, auto& memory) {
    const auto first = memory.data() + memory.size();
    if (value == nothing) return static_cast<decltype(first)>(nullptr);
    memory.insert(memory.end(), rows, value);
    return first;
  };
  const int64_t none = 0;
  const bool is_last = last == Py_True && scale != 1;
  const TokenArgs shared{
      .logits = draw.logits,
      .noise = draw.address,
      .scale = each(scale, -1.0, numbers),
      .top_k = each(k, none, counts),
      .top_p = each(top_p, 1.0, numbers),
      .min_p = each(min_p, 0.0, numbers),
      .index = nullptr,
      .more = {.scale = is_last ? each(1.0, 0.0, numbers) : nullptr,
               .least = each(least, none, counts),
               .sigmas = each(sigmas, 0.0, numbers),
               .typical_p = each(typical_p, 1.0, numbers),
               .epsilon = each(epsilon, 0.0, numbers),
               .eta = each(eta, 0.0, numbers)},
  };
  return one_a_row(draw.x, NPY_INT64, [&](void* index) {
    TokenArgs args = shared;
    args.index = static_cast<int64_t*>(index);
    return draw.run([&](const Workers& workers) {
      return run(draw.backend->sample_tokens, draw.x.dtype, args, draw.x.count, workers);
    });
  });
}

PyObject* draw_relaxed(const Given& given) {
  PyObject* const hard = given[Name::hard];
  if (hard && hard != Py_True && hard != Py_False) return nullptr;
  Draw draw;
  if (!draw.prepare(given, given[Name::tau], any_size)) return nullptr;
  const bool fresh = is_left_out(given[Name::out]), one_hot = hard == Py_True;
  PyArrayObject* const target = fresh ? nullptr : draw.x.target(given[Name::out]);
  if (!fresh && (!target || target == draw.x.array)) return nullptr;
  Reference result(fresh ? draw.x.like(PyArray_NDIM(draw.x.array), draw.x.type()) : counted(target));
  if (!result) return nullptr;
  // A kernel that refuses may have written soft samples, but no hard ones.
  const bool looks = !fresh && !one_hot;
  const GumbelSoftmaxArgs args{draw.logits, draw.address, one_hot ? nullptr : result.data(),
                               one_hot ? result.data() : nullptr};
  const bool done = draw.run([&](const Workers& workers) {
    if (looks) {
      const Result look = run(draw.backend->refuses, draw.x.dtype, LookArgs{draw.logits}, draw.x.count, workers);
      if (look.outcome != Outcome::done) return look;
    }
    return gumbel_softmax(*draw.backend, draw.x.dtype, args, draw.x.count, workers);
  });
  return done ? result.release() : nullptr;
}

PyObject* draw_top_k(const Given& given) {
  Draw draw;
  int64_t k = 0;
  if (!integer(given[Name::k], 1, any_size, k) || !draw.prepare(given, given[Name::temperature], any_size) ||
      k > draw.x.cols)
    return nullptr;
  npy_intp shape[NPY_MAXDIMS];
  const int ndim = PyArray_NDIM(draw.x.array);
  std::copy_n(PyArray_DIMS(draw.x.array), ndim, shape);
  shape[ndim - 1] = k;
  const Reference index(PyArray_SimpleNew(ndim, shape, NPY_INT64)), value(PyArray_SimpleNew(ndim, shape, NPY_FLOAT64));
  const bool done = index && value && draw.run([&](const Workers& workers) {
    const SelectArgs args{draw.logits, draw.address, k, static_cast<int64_t*>(index.data()),
                          static_cast<double*>(value.data())};
    return run(draw.backend->gumbel_top_k, draw.x.dtype, args, draw.x.count, workers);
  });
  if (!done) return nullptr;
  const Reference pair(PyTuple_Pack(2, index.get(), value.get()));
  const Reference args(pair ? PyTuple_Pack(1, pair.get()) : nullptr);
  return args ? PyTuple_Type.tp_new(reinterpret_cast<PyTypeObject*>(known.top_k), args.get(), nullptr) : nullptr;
}

// softmax, log_softmax and logsumexp: nothing is random, and nothing refused.
template <Kernels<SoftmaxArgs> Backend::* kernels, bool reduced>
PyObject* over_rows_of(const Given& given) {
  Rows x;
  int64_t axis = -1;
  double scale = 1;
  if (!x.read(given[Name::x], any_size) || (given[Name::axis] && !integer(given[Name::axis], -1, -1, axis)) ||
      !reciprocal(given[Name::temperature], scale))
    return nullptr;
  const Backend* const backend = active_backend();
  if (!backend) return nullptr;
  const auto write = [&](void* out) {
    const SoftmaxArgs args{x.data(), x.cols, x.cols, {scale}, out};
    return run_call(x.count * x.cols,
                    [&](const Workers& workers) { return run(backend->*kernels, x.dtype, args, x.count, workers); });
  };
  if constexpr (reduced) return one_a_row(x, x.type(), write);
  const bool fresh = is_left_out(given[Name::out]);
  PyArrayObject* const target = fresh ? nullptr : x.target(given[Name::out]);
  if (!fresh && !target) return nullptr;
  Reference result(fresh ? x.like(PyArray_NDIM(x.array), x.type()) : counted(target));
  return result && write(result.data()) ? result.release() : nullptr;
}

// The generator's methods, in float64: one number, or an array of `size`.
template <Kernels<NoiseArgs> Backend::* kernels>
PyObject* noise_of(const Given& given) {
  double numbers[2] = {0, 1};
  const Name number_names[2] = {Name::loc, Name::scale};
  for (int i = 0; i < 2; ++i) {
    PyObject* const number = given[number_names[i]];
    if (!number) continue;
    if (!PyFloat_CheckExact(number)) return nullptr;
    numbers[i] = PyFloat_AS_DOUBLE(number);
  }
  if (!std::isfinite(numbers[0]) || !std::isfinite(numbers[1]) || std::signbit(numbers[1])) return nullptr;
  int64_t size = 1;
  const bool one = is_left_out(given[Name::size]);
  if (!one && !integer(given[Name::size], 1, brief, size)) return nullptr;
  const Backend* const backend = active_backend();
  Noise noise;
  if (!backend || !noise.take_from(given[Name::self], size)) return nullptr;
  double value = 0;
  const npy_intp shape = size;
  Reference result(one ? nullptr : PyArray_SimpleNew(1, &shape, NPY_DOUBLE));
  if (!one && !result) return nullptr;
  const NoiseArgs args{one ? &value : result.data(), numbers[0], numbers[1], key_of(noise.key), noise.first};
  run(backend->*kernels, DType::f64, args, size, alone);
  noise.keep();
  return one ? PyFloat_FromDouble(value) : result.release();
}

// Weights as `choice` takes them: a list of floats, or an array of float64.
bool read_weights(PyObject* given, std::vector<double>& weights) {
  if (PyArrayObject* const array = plain_array(given, {NPY_DOUBLE})) {
    if (PyArray_NDIM(array) != 1 || PyArray_SIZE(array) > brief) return false;
    const auto* data = static_cast<const double*>(PyArray_DATA(array));
    weights.assign(data, data + PyArray_SIZE(array));
    return true;
  }
  if (!given || !PyList_CheckExact(given) || PyList_GET_SIZE(given) > brief) return false;
  const Reference entries(PyList_AsTuple(given));  // which no other thread changes
  if (!entries) return false;
  const Py_ssize_t size = PyTuple_GET_SIZE(entries.get());
  weights.reserve(static_cast<size_t>(size));
  for (Py_ssize_t i = 0; i < size; ++i) {
    PyObject* const entry = PyTuple_GET_ITEM(entries.get(), i);
    if (!PyFloat_CheckExact(entry)) return false;
    weights.push_back(PyFloat_AS_DOUBLE(entry));
  }
  return true;
}

// One of range(a) by its weight: the first place whose cumulated weight exceeds a uniform, in the arithmetic of NumPy.
PyObject* choose(const Given& given) {
  int64_t count = 0;
  std::vector<double> weights;
  if (!is_generator(given[Name::self]) || !integer(given[Name::a], 1, brief, count) ||
      !is_left_out(given[Name::size]) || (given[Name::replace] && given[Name::replace] != Py_True) ||
      !read_weights(given[Name::p], weights) || weights.size() != static_cast<size_t>(count))
    return nullptr;
  double sum = 0;
  for (double& weight : weights) {
    if (!(weight >= 0)) return nullptr;
    weight = sum += weight;
  }
  if (!(std::abs(sum - 1) <= 1e-9)) return nullptr;  // NumPy's tolerance is 1.5e-8, of a sum in another order
  static PyObject* const name = name_of("random");
  const Reference drawn(PyObject_CallMethodNoArgs(given[Name::self], name));
  if (!drawn) return nullptr;
  const double uniform = PyFloat_AsDouble(drawn.get());
  const auto above = [&](double cumulated) { return cumulated / sum > uniform; };
  return PyLong_FromSsize_t(std::find_if(weights.begin(), weights.end(), above) - weights.begin());
}

const std::vector<Step>& steps() {
  using enum Name;
  const std::vector<Name> token_parameters{
      logits,      rng,       temperature,    top_k,      top_p, min_p, temperature_last, min_tokens_to_keep,
      top_n_sigma, typical_p, epsilon_cutoff, eta_cutoff, mask,  seeds, positions};
  static const std::vector<Step> all{
      {"categorical", 1, {logits, rng, mask, temperature, seeds, positions}, draw_categorical},
      {"gumbel_top_k", 2, {logits, k, rng, mask, temperature, seeds, positions}, draw_top_k},
      {"gumbel_softmax", 3, {logits, tau, hard, rng, seeds, positions, out}, draw_relaxed},
      {"sample_tokens", 1, token_parameters, draw_tokens<false>},
      {"sample_tokens of tensors", 1, token_parameters, draw_tokens<true>},
      {"softmax", 1, {x, axis, temperature, out}, over_rows_of<&Backend::softmax, false>},
      {"log_softmax", 1, {x, axis, temperature, out}, over_rows_of<&Backend::log_softmax, false>},
      {"logsumexp", 1, {x, axis, temperature}, over_rows_of<&Backend::logsumexp, true>},
      {"Generator.choice", 5, {self, a, size, replace, p}, choose},
      {"Generator.gumbel", 4, {self, loc, scale, size}, noise_of<&Backend::gumbel>},
      {"Generator.exponential", 3, {self, scale, size}, noise_of<&Backend::exponential>},
      {"Generator.standard_exponential", 2, {self, size}, noise_of<&Backend::exponential>},
  };
  return all;
}

}  // namespace

const Step* find_step(const char* function) {
  if (_import_array() < 0) return nullptr;
  for (const Step& step : steps())
    if (std::string_view(step.function) == function) return &step;
  PyErr_Format(PyExc_ValueError, "there is no step for %s", function);
  return nullptr;
}

}  // namespace gumbelfast
