"""PyTorch's signatures of the ops that have several there: its TypeErrors depend on them, and ours on its.

One row is names, then their signatures: `input` is "Tensor input", `out` "Tensor out = None", `factory` the options
of what makes a tensor, `random` a generator that must be given. A method has neither its first argument nor `out`.
"""

_ROWS = """
add add_ sub sub_: input, Tensor other, *, Number alpha = 1, out
addbmm baddbmm_ addbmm_: input, Tensor batch1, Tensor batch2, *, Number beta = 1, Number alpha = 1, out
addcdiv addcmul addcdiv_ addcmul_: input, Tensor tensor1, Tensor tensor2, *, Number value = 1, out
addmm_: input, Tensor mat1, Tensor mat2, *, Number beta = 1, Number alpha = 1
addmv addmv_: input, Tensor mat, Tensor vec, *, Number beta = 1, Number alpha = 1, out
addr addr_: input, Tensor vec1, Tensor vec2, *, Number beta = 1, Number alpha = 1, out
addmm: input, Tensor mat1, Tensor mat2, *, Number beta = 1, Number alpha = 1, out
 | input, Tensor mat1, Tensor mat2, torch.dtype out_dtype, *, Number beta = 1, Number alpha = 1, out
baddbmm: input, Tensor batch1, Tensor batch2, *, Number beta = 1, Number alpha = 1, out
 | input, Tensor batch1, Tensor batch2, torch.dtype out_dtype, *, Number beta = 1, Number alpha = 1, out
bmm mm: input, Tensor mat2, *, out | input, Tensor mat2, torch.dtype out_dtype, *, out
all any: input, *, out | input, tuple of ints dim = None, bool keepdim = False, *, out
 | input, int dim, bool keepdim = False, *, out
arange: Number end, *, out, factory | Number start, Number end, *, factory
 | Number start, Number end, Number step = 1, *, out, factory
argsort: input, *, bool stable, int dim = -1, bool descending = False, out
 | input, int dim = -1, bool descending = False
bernoulli: input, *, torch.Generator generator = None, out | input, float p, *, torch.Generator generator = None
bernoulli_: input, Tensor p, *, torch.Generator generator = None
 | input, float p = 0.5, *, torch.Generator generator = None
bitwise_and bitwise_left_shift bitwise_or bitwise_right_shift bitwise_xor: input, Tensor other, *, out
 | Number self, Tensor other | input, Number other, *, out
bucketize: input, Tensor boundaries, *, bool out_int32 = False, bool right = False, out
 | Number self, Tensor boundaries, *, bool out_int32 = False, bool right = False
clamp clip clamp_ clip_: input, Tensor min = None, Tensor max = None, *, out
 | input, Number min = None, Number max = None, *, out
clamp_max clamp_max_: input, Tensor max, *, out | input, Number max, *, out
clamp_min clamp_min_: input, Tensor min, *, out | input, Number min, *, out
conv1d conv2d conv3d: input, Tensor weight, Tensor bias = None, tuple of ints stride = 1, tuple of ints padding = 0,
 tuple of ints dilation = 1, int groups = 1
 | input, Tensor weight, Tensor bias = None, tuple of ints stride = 1, str padding = "valid",
 tuple of ints dilation = 1, int groups = 1
copysign eq fmod ge greater greater_equal gt le less less_equal lt ne not_equal copysign_ eq_ fmod_ ge_ greater_
 greater_equal_ gt_ le_ less_ less_equal_ lt_ ne_ not_equal_ remainder_ bitwise_and_ bitwise_left_shift_ bitwise_or_
 bitwise_right_shift_ bitwise_xor_ xlogy_: input, Tensor other, *, out | input, Number other, *, out
copy_: input, Tensor other, bool non_blocking = False
count_nonzero: input, int dim = None | input, tuple of ints dim
div div_: input, Tensor other, *, out | input, Tensor other, *, str rounding_mode, out
 | input, Number other, *, str rounding_mode
divide divide_: input, Tensor other, *, out | input, Tensor other, *, str rounding_mode, out | input, Number other
 | input, Number other, *, str rounding_mode
eye: int n, *, out, factory | int n, int m, *, out, factory
fill_: input, Tensor value | input, Number value
float_power pow: input, Tensor exponent, *, out | Number self, Tensor exponent, *, out | input, Number exponent, *, out
float_power_ pow_: input, Tensor exponent | input, Number exponent
floor_divide multiply true_divide floor_divide_ multiply_ true_divide_: input, Tensor other, *, out
 | input, Number other
index_fill index_fill_: input, int dim, Tensor index, Tensor value | input, int dim, Tensor index, Number value
isin: Tensor elements, Tensor test_elements, *, bool assume_unique = False, bool invert = False, out
 | Number element, Tensor test_elements, *, bool assume_unique = False, bool invert = False, out
 | Tensor elements, Number test_element, *, bool assume_unique = False, bool invert = False, out
lerp lerp_: input, Tensor end, Tensor weight, *, out | input, Tensor end, Number weight, *, out
linspace: Tensor start, Tensor end, int steps, *, out, factory | Number start, Tensor end, int steps, *, out, factory
 | Tensor start, Number end, int steps, *, out, factory | Number start, Number end, int steps, *, out, factory
logspace: Tensor start, Tensor end, int steps, float base = 10.0, *, out, factory
 | Number start, Tensor end, int steps, float base = 10.0, *, out, factory
 | Tensor start, Number end, int steps, float base = 10.0, *, out, factory
 | Number start, Number end, int steps, float base = 10.0, *, out, factory
masked_fill masked_fill_: input, Tensor mask, Tensor value | input, Tensor mask, Number value
max min: input, *, out | input, Tensor other, *, out
 | input, int dim, bool keepdim = False, *, tuple of Tensors out = None
mean: input, *, torch.dtype dtype = None, out
 | input, tuple of ints dim, bool keepdim = False, *, torch.dtype dtype = None, out
median nanmedian: input | input, int dim, bool keepdim = False, *, tuple of Tensors out = None
moveaxis movedim: input, int source, int destination | input, tuple of ints source, tuple of ints destination
nanquantile quantile: input, Tensor q, int dim = None, bool keepdim = False, *, str interpolation = "linear", out
 | input, float q, int dim = None, bool keepdim = False, *, str interpolation = "linear", out
narrow: input, int dim, Tensor start, int length | input, int dim, int start, int length
nonzero: input, *, out | input, *, bool as_tuple
normal: Tensor mean, Tensor std, *, torch.Generator generator = None, out
 | Tensor mean, float std = 1, *, torch.Generator generator = None, out
 | float mean, Tensor std, *, torch.Generator generator = None, out
 | float mean, float std, tuple of ints size, *, torch.Generator generator = None, out, factory
prod: input, *, torch.dtype dtype = None | input, int dim, bool keepdim = False, *, torch.dtype dtype = None, out
rand randn: tuple of ints size, *, random, out, factory | tuple of ints size, *, out, factory
randint: int high, tuple of ints size, *, random, out, factory | int high, tuple of ints size, *, out, factory
 | int low, int high, tuple of ints size, *, random, out, factory
 | int low, int high, tuple of ints size, *, out, factory
random_: input, *, torch.Generator generator = None | input, int from, int to, *, torch.Generator generator = None
 | input, int to, *, torch.Generator generator = None
randperm: int n, *, random, out, factory | int n, *, out, factory
remainder: input, Tensor other, *, out | Number self, Tensor other | input, Number other, *, out
repeat_interleave: input, Tensor repeats, int dim = None, *, int output_size = None
 | Tensor repeats, *, int output_size = None | input, int repeats, int dim = None, *, int output_size = None
result_type: Tensor tensor, Tensor other | Number scalar, Tensor tensor | Tensor tensor, Number other
 | Number scalar1, Number scalar2
round round_: input, *, out | input, *, int decimals, out
rsub: input, Tensor other, *, Number alpha = 1 | input, Number other, Number alpha = 1
scatter scatter_: input, int dim, Tensor index, Tensor src, *, out
 | input, int dim, Tensor index, Tensor src, *, str reduce, out | input, int dim, Tensor index, Number value, *, out
 | input, int dim, Tensor index, Number value, *, str reduce, out
searchsorted: Tensor sorted_sequence, Tensor input, *, bool out_int32 = False, bool right = False, str side = None,
 Tensor sorter = None, out | Tensor sorted_sequence, Number self, *, bool out_int32 = False, bool right = False,
 str side = None, Tensor sorter = None, out
sort: input, *, bool stable, int dim = -1, bool descending = False, tuple of Tensors out = None
 | input, int dim = -1, bool descending = False, *, tuple of Tensors out = None
squeeze squeeze_: input | input, int dim | input, tuple of ints dim
std var: input, tuple of ints dim, bool unbiased = True, bool keepdim = False, *, out
 | input, tuple of ints dim = None, *, Number correction = None, bool keepdim = False, out
 | input, bool unbiased = True
std_mean var_mean: input, tuple of ints dim, bool unbiased = True, bool keepdim = False
 | input, tuple of ints dim = None, *, Number correction = None, bool keepdim = False | input, bool unbiased = True
subtract subtract_: input, Tensor other, *, Number alpha = 1, out | input, Number other, Number alpha = 1
sum: input, *, torch.dtype dtype = None
 | input, tuple of ints dim, bool keepdim = False, *, torch.dtype dtype = None, out
tensor_split: input, tuple of ints indices, int dim = 0 | input, Tensor tensor_indices_or_sections, int dim = 0
 | input, int sections, int dim = 0
trapezoid: Tensor y, Tensor x, *, int dim = -1 | Tensor y, *, Number dx = 1, int dim = -1
trapz: Tensor y, *, float dx = 1, int dim = -1 | Tensor y, Tensor x, *, int dim = -1
view: input, torch.dtype dtype | input, tuple of ints size
where: Tensor condition | Tensor condition, Tensor input, Tensor other, *, out
 | Tensor condition, Number self, Tensor other | Tensor condition, Tensor input, Number other
 | Tensor condition, Number self, Number other
xlogy: input, Tensor other, *, out | Number self, Tensor other, *, out | input, Number other, *, out
"""
_SHORT = {
    "input": "Tensor input",
    "out": "Tensor out = None",
    "random": "torch.Generator generator",
    "factory": "torch.dtype dtype = None, torch.layout layout = None, torch.device device = None, "
    "bool pin_memory = False, bool requires_grad = False",
}


def _read():
    table = {}
    for row in _ROWS.replace("\n ", " ").strip().splitlines():
        names, _, signatures = row.partition(":")
        texts = [
            "(" + ", ".join(_SHORT.get(part, part) for part in text.strip().split(", ")) + ")"
            for text in signatures.split("|")
        ]
        for name in names.split():
            table[name] = texts
    return table


OVERLOADS = _read()
