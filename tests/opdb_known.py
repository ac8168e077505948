"""The one list of what differs over torch's database of operators: (operators, aspect, dtypes, reason).

Strict: what is listed here and does not differ fails. "errors" stands for the database's own wrong calls.
"""

INTEGERS = "bool uint8 int8 int16 int32 int64"
HALF = "float16 bfloat16"
COMPLEX = "complex64 complex128"
ALL = f"{INTEGERS} {HALF} float32 float64 {COMPLEX}"

KNOWN: list[tuple[str, str, str, str]] = [
    ("sum_to_size", "dtype", "bool uint8 int8 int16 int32", "another result dtype"),
    ("float_power", "inplace", "float16 bfloat16 float32 complex64", "computed here, refused by torch"),
    ("aminmax narrow", "refuses", "errors", "computed here, refused by torch"),
    ("qr", "refuses", HALF, "computed here, refused by torch"),
    (
        "nn.functional.fractional_max_pool2d",
        "refuses",
        "uint8 int8 int16 int32 int64",
        "computed here, refused by torch",
    ),
    ("i0", "inplace", "float64", "differs: grad: value: [0][4] -305.3811340332031 instead of -305.38128"),
    ("quantile nanquantile", "grad", "float32 float64", "differs: type: [1] NoneType instead of a tensor"),
    (
        "nn.functional.binary_cross_entropy",
        "gradgrad",
        "float64",
        "differs: value: [0][0, 1] 4.213727852361374 instead of 4.213727852228",
    ),
    ("to", "strides", ALL, "memory_format= has no effect"),
    ("nextafter", "requires_grad", "float32 float64", "no gradient is recorded"),
    ("addmm nn.functional.margin_ranking_loss addmm:decomposed dist", "error", "bool", "other words"),
    ("nn.functional.max_pool1d", "error", "bool complex64 complex128 errors", "other words"),
    ("nn.functional.soft_margin_loss nn.functional.conv3d", "error", "bool errors", "other words"),
    ("nn.functional.conv_transpose3d", "error", "bool uint8 int8 int16 int32", "other words"),
    ("nn.functional.adaptive_avg_pool1d", "error", "bool uint8 int8 int16 int32 int64 errors", "other words"),
    ("nn.functional.fractional_max_pool3d", "error", COMPLEX, "other words"),
    ("nn.functional.fractional_max_pool2d", "error", "complex64 complex128 bool", "other words"),
    (
        "linspace:tensor_overload logspace:tensor_overload nn.functional.adaptive_avg_pool3d "
        "nn.functional.adaptive_max_pool2d nn.functional.conv2d nn.functional.max_unpool1d polar arange linspace "
        "logspace nn.functional.adaptive_max_pool1d nn.functional.adaptive_max_pool3d nn.functional.conv1d "
        "nn.functional.rms_norm nn.functional.max_pool3d narrow",
        "error",
        "errors",
        "other words",
    ),
    ("max_pool2d_with_indices_backward", "error", "uint8 int8 int16 int32 int64", "other words"),
    ("square", "inplace", "bool", "other words"),
    ("float_power", "inplace", INTEGERS, "other words"),
    ("addr", "inplace", ALL, "other words"),
    (
        "mvlgamma:mvlgamma_p_3 mvlgamma:mvlgamma_p_1 mvlgamma:mvlgamma_p_5",
        "inplace",
        "uint8 int8 int16 int32 int64",
        "other words",
    ),
    ("kthvalue masked_select", "refuses", "errors", "out= that overlaps is taken"),
    (
        "polygamma:polygamma_n_1 polygamma:polygamma_n_3 polygamma:polygamma_n_2 polygamma:polygamma_n_4",
        "inplace",
        "bfloat16 float32 float64",
        "refused here, computed by torch",
    ),
    ("polygamma:polygamma_n_0", "inplace", "float16 bfloat16 float32 float64", "refused here, computed by torch"),
    (
        "addbmm",
        "inplace",
        "uint8 int8 int16 int32 int64 float16 bfloat16 float32 float64 complex64 complex128",
        "refused here, computed by torch",
    ),
    ("mm", "raises", "bool", "refused here, computed by torch"),
    (
        "nn.functional.adaptive_avg_pool1d",
        "raises",
        "bool uint8 int8 int16 int32 int64 complex64 complex128",
        "refused here, computed by torch",
    ),
    ("logaddexp nn.functional.fractional_max_pool3d", "raises", COMPLEX, "refused here, computed by torch"),
    ("nextafter", "raises", HALF, "refused here, computed by torch"),
    (
        "max_pool2d_with_indices_backward",
        "raises",
        "float16 bfloat16 float32 float64",
        "refused here, computed by torch",
    ),
    ("native_batch_norm native_layer_norm", "dtype", HALF, "statistics are kept in float32"),
    ("__rmul__ __ror__ __radd__ __rand__ __rxor__", "error", "errors", "the error is the interpreter's own"),
    ("__rpow__ __rmod__ __rsub__", "raises", "errors", "the error is the interpreter's own"),
    ("real imag", "strides", COMPLEX, "the parts of complex tensors are copies"),
    ("masked_scatter", "strides", ALL, "the result is laid out otherwise"),
    (
        "nn.functional.max_unpool2d nn.functional.max_unpool2d:grad",
        "strides",
        "float16 bfloat16 float32 float64",
        "the result is laid out otherwise",
    ),
    (
        "nn.functional.max_pool2d",
        "strides",
        "uint8 int8 int16 int32 int64 float16 bfloat16 float32 float64",
        "the result is laid out otherwise",
    ),
    ("polar", "error", "float16", "there is no complex32"),
    ("angle", "grad", HALF, "there is no complex32"),
    ("view_as_complex complex", "raises", "float16", "there is no complex32"),
    (
        "acosh atanh asinh",
        "inplace",
        "float16 bfloat16 float32 float64 complex64 complex128",
        "torch has no derivative of the in-place form",
    ),
    ("nn.functional.scaled_dot_product_attention", "gradgrad", "float64", "torch has no second derivative here"),
    ("nn.functional.hardsigmoid", "grad", "float64", "torch's constant 1/6 has float32's precision in float64"),
    (
        "mvlgamma:mvlgamma_p_3 mvlgamma:mvlgamma_p_1 mvlgamma:mvlgamma_p_5",
        "gradgrad",
        "float64",
        "torch's trigamma has 10 digits",
    ),
    ("mode", "value", "bool uint8 int8 int16 int32 int64 float16 bfloat16", "which of equal elements is taken"),
    ("kthvalue", "value", "uint8 int8 int16 int32 int64", "which of equal elements is taken"),
    ("topk", "value", "uint8 int8 int16 int32 int64 bfloat16", "which of equal elements is taken"),
]

# The same, but not strict: whether the last digits differ depends on the processor and on how torch was built.
ROUNDED: list[tuple[str, str, str, str]] = [
    ("nn.functional.rms_norm", "grad", "complex64", "rounded otherwise"),
    ("nn.functional.soft_margin_loss", "grad", "float16", "rounded otherwise"),
    ("nn.functional.scaled_dot_product_attention", "grad", HALF, "rounded otherwise"),
    ("nn.functional.celu", "grad", "float16 bfloat16 float32", "rounded otherwise"),
    ("matrix_exp addcdiv", "grad", "float32", "rounded otherwise"),
    ("nn.functional.elu nn.functional.selu", "inplace", "float16 bfloat16 float32", "rounded otherwise"),
    ("i0", "inplace", "float32", "rounded otherwise"),
    (
        "polygamma:polygamma_n_1 polygamma:polygamma_n_3 polygamma:polygamma_n_2 polygamma:polygamma_n_4",
        "value",
        "bfloat16 float16",
        "rounded otherwise",
    ),
    ("polygamma:polygamma_n_0", "value", HALF, "rounded otherwise"),
    ("matrix_exp nn.functional.scaled_dot_product_attention", "value", "float16 bfloat16 float32", "rounded otherwise"),
    ("nn.functional.multilabel_soft_margin_loss", "value", "float32", "rounded otherwise"),
    (
        "nn.functional.interpolate:bicubic nn.functional.interpolate:bilinear nn.functional.upsample_bilinear",
        "value",
        "uint8",
        "rounded otherwise",
    ),
]
