"""The one list of what differs over torch's database of operators: (operators, aspect, dtypes, reason).

Strict: what is listed here and does not differ fails. "errors" stands for the database's own wrong calls.
"""

INTEGERS = "bool uint8 int8 int16 int32 int64"
HALF = "float16 bfloat16"
COMPLEX = "complex64 complex128"
FLOATING = f"{HALF} float32 float64 {COMPLEX}"
ALL = f"{INTEGERS} {HALF} float32 float64 {COMPLEX}"

KNOWN: list[tuple[str, str, str, str]] = [
    (
        "index_reduce:amax index_reduce:amin log_softmax prod tensordot",
        "raises",
        "bool",
        "a dtype that torch's kernel takes, or never gets to see, is refused",
    ),
    (
        "index_reduce:prod",
        "raises",
        "bool complex64 complex128",
        "a dtype that torch's kernel takes, or never gets to see, is refused",
    ),
    (
        "bernoulli",
        "raises",
        "bool uint8 int8 int16 int32 int64 complex64 complex128",
        "a dtype that torch's kernel takes, or never gets to see, is refused",
    ),
    (
        "index_reduce:mean logcumsumexp mode nn.functional.smooth_l1_loss",
        "raises",
        COMPLEX,
        "a dtype that torch's kernel takes, or never gets to see, is refused",
    ),
    (
        "histogram histogramdd nextafter",
        "raises",
        HALF,
        "a dtype that torch's kernel takes, or never gets to see, is refused",
    ),
    (
        "linalg.norm:subgradients_at_zero",
        "grad",
        "float32 float64 complex64 complex128",
        "another subgradient at 0: torch has NaN",
    ),
    (
        "linalg.norm linalg.norm:subgradients_at_zero",
        "gradgrad",
        "float64 complex128",
        "another subgradient at 0: torch has NaN",
    ),
    ("pca_lowrank", "error", "bfloat16", "both refuse the dtype, at another step"),
    ("addmm addmm:decomposed cumulative_trapezoid gradient", "error", "bool", "both refuse the dtype, at another step"),
    ("nn.functional.smooth_l1_loss", "error", INTEGERS, "both refuse the dtype, at another step"),
    ("nn.functional.embedding_bag", "error", COMPLEX, "both refuse the dtype, at another step"),
    ("amax amin arange", "error", "errors", "both refuse the dtype, at another step"),
    ("stft", "error", "float16", "both refuse the dtype, at another step"),
    ("histc", "error", "uint8", "both refuse the dtype, at another step"),
    ("svd_lowrank", "error", "uint8 int8 int16 int32 int64 bfloat16", "both refuse the dtype, at another step"),
    ("square", "inplace", "bool", "both refuse the dtype, at another step"),
    (
        "__rmatmul__ bmm:triton_optimized index_reduce:mean linalg.pinv:singular matmul nn.functional.bilinear nn.functional.conv3d tensordot",  # noqa: E501
        "error",
        "bool",
        "both refuse the dtype, naming another kernel",
    ),
    (
        "histogram histogramdd",
        "error",
        "bool uint8 int8 int16 int32 int64 complex64 complex128",
        "both refuse the dtype, naming another kernel",
    ),
    (
        "aminmax index_reduce:amax index_reduce:amin unique_consecutive",
        "error",
        COMPLEX,
        "both refuse the dtype, naming another kernel",
    ),
    ("stft", "error", "bool bfloat16", "both refuse, with other words for which argument is wrong"),
    (
        "gradient narrow narrow_copy nn.functional.adaptive_max_pool1d nn.functional.adaptive_max_pool2d nn.functional.adaptive_max_pool3d nn.functional.conv2d nn.functional.conv3d nn.functional.rms_norm",  # noqa: E501
        "error",
        "errors",
        "both refuse, with other words for which argument is wrong",
    ),
    ("cumulative_trapezoid", "refuses", "bool", "computed here; torch refuses these arguments"),
    ("aminmax gather mean narrow", "refuses", "errors", "computed here; torch refuses these arguments"),
    ("logcumsumexp", "refuses", INTEGERS, "computed here; torch's kernel refuses the dtype"),
    ("nn.functional.embedding_bag", "refuses", COMPLEX, "computed here; torch's kernel refuses the dtype"),
    ("linalg.qr qr", "refuses", HALF, "computed here; torch's kernel refuses the dtype"),
    ("cumulative_trapezoid", "value", "uint8", "differs for bytes, why is not known yet"),
    (
        "fft.ihfft fft.rfft fft.rfft2 fft.rfftn",
        "strides",
        "bool uint8 int8 int16 int32 int64 float32 float64",
        "laid out as the plan of torch's FFT library leaves it",
    ),
    (
        "fft.fft fft.fft2 fft.fftn fft.hfft fft.ifft fft.ifft2 fft.ifftn fft.irfft fft.irfft2 fft.irfftn",
        "strides",
        "bool uint8 int8 int16 int32 int64 float32 float64 complex64 complex128",
        "laid out as the plan of torch's FFT library leaves it",
    ),
    (
        "stft",
        "strides",
        "float32 float64 complex64 complex128",
        "laid out as the plan of torch's FFT library leaves it",
    ),
    ("linalg.householder_product", "requires_grad", "float32 float64 complex64 complex128", "no gradient is recorded"),
    ("cat index_select kthvalue masked_select take", "refuses", "errors", "out= that shares memory is taken"),
    ("take_along_dim", "raises", ALL, "refused here, computed by torch"),
    ("__radd__ __rand__ __rmul__ __ror__ __rxor__", "error", "errors", "the error is the interpreter's own"),
    ("__rmod__ __rpow__ __rsub__", "raises", "errors", "the error is the interpreter's own"),
    (
        "norm:nuc",
        "error",
        "bool uint8 int8 int16 int32 int64 float16 bfloat16",
        "the nuclear norm is in linalg.matrix_norm alone",
    ),
    ("norm:nuc", "raises", "float32 float64 complex64 complex128", "the nuclear norm is in linalg.matrix_norm alone"),
    ("pca_lowrank svd_lowrank", "strides", COMPLEX, "the result is laid out otherwise"),
    ("nn.functional.binary_cross_entropy", "gradgrad", "float64", "the second derivatives differ in the 11th digit"),
    ("polar", "error", "float16", "there is no complex32"),
    ("angle", "grad", HALF, "there is no complex32"),
    ("complex view_as_complex", "raises", "float16", "there is no complex32"),
    ("as_strided_scatter", "grad", FLOATING, "torch hands gradients to elements that were overwritten"),
    ("acosh asinh atanh", "inplace", FLOATING, "torch has no derivative of the in-place form"),
    (
        "native_layer_norm nn.functional.ctc_loss nn.functional.scaled_dot_product_attention",
        "gradgrad",
        "float64",
        "torch has no second derivative here",
    ),
    ("nn.functional.pdist", "grad", "float32 float64", "torch has zeros where nothing moves"),
    ("logcumsumexp", "gradgrad", "float64", "torch leaves 1e-12 of a second derivative that is 0"),
    ("nextafter", "requires_grad", "float32 float64", "torch marks the result though it has no derivative"),
    ("nn.functional.hardsigmoid", "grad", "float64", "torch's constant 1/6 has float32's precision in float64"),
    ("cdist", "raises", HALF, "torch's road by products takes half precision where its kernel refuses it"),
    (
        "mvlgamma:mvlgamma_p_1 mvlgamma:mvlgamma_p_3 mvlgamma:mvlgamma_p_5",
        "gradgrad",
        "float64",
        "torch's trigamma has 10 digits",
    ),
    ("linalg.pinv", "grad", "float64 complex128", "where the rank jumps there is no derivative: torch says 0"),
    ("msort", "grad", HALF, "which of equal elements: torch's vectorised sort is not stable"),
    (
        "argsort sort",
        "value",
        "bool uint8 int8 float16 bfloat16",
        "which of equal elements: torch's vectorised sort is not stable",
    ),
    (
        "linalg.householder_product ormqr",
        "grad",
        "float32 float64 complex64 complex128",
        "zeros where torch has None, for a matrix without elements",
    ),
]

# The same, but not strict: whether the last digits differ depends on the processor and on how torch was built.
ROUNDED: list[tuple[str, str, str, str]] = [
    ("special.ndtr", "value", "bfloat16 float32", "far in the tail torch has 0 and ours has the small number"),
    ("linalg.householder_product", "gradgrad", "complex128", "large numbers cancel"),
    (
        "nn.functional.celu",
        "grad",
        "float16 bfloat16 float32",
        "one derives from the result, the other from the argument: what cancels shows it",
    ),
    ("grid_sampler_2d", "grad", "bfloat16", "rounded otherwise: what cancels, or overflows on the way, shows it"),
    (
        "nn.functional.rms_norm pca_lowrank renorm svd_lowrank",
        "grad",
        "complex64",
        "rounded otherwise: what cancels, or overflows on the way, shows it",
    ),
    (
        "nn.functional.normalize nn.functional.soft_margin_loss",
        "grad",
        "float16",
        "rounded otherwise: what cancels, or overflows on the way, shows it",
    ),
    (
        "nn.functional.scaled_dot_product_attention",
        "grad",
        "float16 bfloat16 float32",
        "rounded otherwise: what cancels, or overflows on the way, shows it",
    ),
    (
        "addcdiv native_layer_norm nn.functional.layer_norm special.xlog1py",
        "grad",
        "float32",
        "rounded otherwise: what cancels, or overflows on the way, shows it",
    ),
    (
        "pca_lowrank svd_lowrank",
        "gradgrad",
        "complex128",
        "rounded otherwise: what cancels, or overflows on the way, shows it",
    ),
    (
        "nn.functional.scaled_dot_product_attention",
        "value",
        "float16 bfloat16 float32",
        "rounded otherwise: what cancels, or overflows on the way, shows it",
    ),
    (
        "nn.functional.multilabel_soft_margin_loss pca_lowrank",
        "value",
        "float32",
        "rounded otherwise: what cancels, or overflows on the way, shows it",
    ),
    (
        "special.bessel_j0 special.bessel_j1 special.bessel_y0 special.bessel_y1",
        "value",
        "float64",
        "they differ by 1e-7, why is not known yet",
    ),
    (
        "signal.windows.kaiser signal.windows.nuttall",
        "value",
        "bool uint8 int8 int16 int32 int64 float16 bfloat16 complex64 complex128",
        "they differ by some units in the last place of float32, why is not known yet",
    ),
    (
        "nn.functional.interpolate:bicubic nn.functional.interpolate:bilinear nn.functional.upsample_bilinear",
        "value",
        "uint8",
        "torch resizes bytes in fixed point",
    ),
    ("matrix_exp", "grad", "float32", "torch squares in the dtype itself, where half precision overflows"),
    (
        "matrix_exp",
        "value",
        "float16 bfloat16 float32",
        "torch squares in the dtype itself, where half precision overflows",
    ),
    (
        "polygamma:polygamma_n_0 polygamma:polygamma_n_1 polygamma:polygamma_n_2 polygamma:polygamma_n_3 polygamma:polygamma_n_4 special.polygamma:special_polygamma_n_0",  # noqa: E501
        "value",
        HALF,
        "torch sums the series in the narrow dtype itself",
    ),
    ("cov", "grad", FLOATING, "weights of float32: what cancels keeps their rounding"),
    ("cov", "gradgrad", "float64 complex128", "weights of float32: what cancels keeps their rounding"),
]
