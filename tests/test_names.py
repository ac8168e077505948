"""The names that people's programs use: each is there, with torch's arguments and defaults where torch tells them."""

import inspect

import pytest
from harness import OURS, H

# By how often real code uses them; the third list is what was chosen of the rest.
MUST = {
    "": """tensor Tensor zeros randn cat no_grad ones arange Size device manual_seed stack float32 float64 rand
    linspace long save load eye exp zeros_like mean from_numpy max matmul softmax abs empty argmax sqrt is_tensor log
    as_tensor sum pow einsum randint sigmoid tanh where equal full allclose mm ones_like norm clamp min dot bmm mul
    add addmm tensordot outer mv baddbmm inner result_type promote_types broadcast_shapes broadcast_tensors
    get_default_dtype set_default_dtype set_num_threads get_num_threads FloatTensor LongTensor DoubleTensor IntTensor
    BoolTensor ByteTensor HalfTensor bool uint8 int8 int16 int32 int64 float16 bfloat16 complex64 complex128 half
    float double int short cfloat cdouble pi inf nan e""",
    "Tensor": """shape device sum mean item size backward to unsqueeze view cuda reshape numpy squeeze data
    transpose dtype max min detach float cpu expand long dim matmul norm argmax grad split numel contiguous flatten
    tolist clamp clone requires_grad requires_grad_ permute repeat chunk std var t T mT mul prod normal_ uniform_
    masked_fill copy_ fill_ zero_ gather mul_ add_ type_as all any is_leaf grad_fn retain_grad register_hook unfold
    __add__ __radd__ __sub__ __rsub__ __mul__ __rmul__ __truediv__ __rtruediv__ __floordiv__ __mod__ __pow__ __rpow__
    __matmul__ __rmatmul__ __neg__ __abs__ __invert__ __and__ __or__ __xor__ __lshift__ __rshift__ __eq__ __ne__
    __lt__ __le__ __gt__ __ge__ __iadd__ __isub__ __imul__ __itruediv__ __getitem__ __setitem__ __len__ __iter__
    __contains__ __bool__ __float__ __int__ __index__ __array__ __dlpack__""",
    "nn": """Module Linear Sequential Parameter ReLU Dropout Conv2d ModuleList Embedding LayerNorm CrossEntropyLoss
    GELU Softmax Identity BatchNorm2d MSELoss Tanh Sigmoid LeakyReLU MaxPool2d Flatten BatchNorm1d BCELoss
    BCEWithLogitsLoss L1Loss""",
    "nn.functional": """relu cross_entropy softplus softmax pad log_softmax mse_loss max_pool2d normalize sigmoid
    gelu conv2d one_hot linear dropout binary_cross_entropy binary_cross_entropy_with_logits nll_loss l1_loss
    batch_norm unfold fold cosine_similarity embedding layer_norm""",
    "optim": "Adam SGD AdamW Optimizer RMSprop",
    "autograd": "grad Variable Function backward set_detect_anomaly",
    "nn.init": """constant_ normal_ orthogonal_ zeros_ xavier_uniform_ xavier_normal_ kaiming_uniform_
    kaiming_normal_ uniform_ ones_ calculate_gain""",
    "utils.data": "DataLoader Dataset TensorDataset",
    "cuda": "is_available synchronize",
    "nn.utils": "clip_grad_norm_",
}
SHOULD = {
    "": """triu tril randn_like meshgrid randperm finfo iinfo rsqrt topk inference_mode logsumexp multinomial cumsum
    sort diag sign isnan isfinite vdot kron chain_matmul set_grad_enabled Generator""",
    "testing": "assert_close",
    "Tensor": """new_zeros scatter scatter_ repeat_interleave masked_fill_ unbind index_select nonzero unique flip
    addmm_ baddbmm_""",
    "nn": """LazyLinear ConvTranspose2d AdaptiveAvgPool2d AvgPool2d Conv1d NLLLoss LogSoftmax Softplus SiLU RMSNorm
    GroupNorm MultiheadAttention TransformerEncoderLayer ModuleDict ParameterList SmoothL1Loss""",
    "nn.functional": "silu scaled_dot_product_attention avg_pool2d leaky_relu elu",
    "optim": "LBFGS Adadelta Adagrad",
    "optim.lr_scheduler": "StepLR MultiStepLR LambdaLR ReduceLROnPlateau CosineAnnealingLR",
    "linalg": """norm vector_norm matrix_norm vecdot multi_dot solve cholesky solve_triangular inv det""",
    "autograd": "gradcheck",
    "autograd.functional": "jacobian",
    "utils.data": "Subset random_split RandomSampler IterableDataset default_collate",
}
COULD = {
    "": """compile vmap autocast view_as_real view_as_complex complex conj real imag angle stft istft hann_window
    hamming_window blackman_window bartlett_window kaiser_window histogram histogramdd gradient frexp igamma igammac
    binomial lu lu_unpack geqrf ormqr orgqr triangular_solve svd_lowrank pca_lowrank pdist celu rrelu relu_ exp_
    pixel_shuffle triplet_margin_loss narrow_copy nonzero_static segment_reduce norm_except_dim""",
    "nn": """LSTM GRU RNN LSTMCell GRUCell RNNCell InstanceNorm1d InstanceNorm2d InstanceNorm3d Upsample CTCLoss
    AdaptiveLogSoftmaxWithLoss FractionalMaxPool2d FractionalMaxPool3d SyncBatchNorm Transformer TransformerEncoder
    TransformerDecoder TransformerDecoderLayer DataParallel""",
    "nn.functional": "interpolate ctc_loss fractional_max_pool2d grid_sample affine_grid embedding_bag gumbel_softmax",
    "nn.utils": "parametrize parametrizations rnn clip_grad_value_ parameters_to_vector vector_to_parameters",
    "nn.utils.parametrize": """register_parametrization remove_parametrizations is_parametrized cached
    ParametrizationList""",
    "nn.utils.parametrizations": "orthogonal spectral_norm weight_norm",
    "nn.utils.prune": "l1_unstructured ln_structured random_unstructured global_unstructured custom_from_mask remove",
    "nn.utils.rnn": """PackedSequence pack_padded_sequence pad_packed_sequence pack_sequence pad_sequence
    unpad_sequence unpack_sequence""",
    "optim": "Adafactor Adamax ASGD Muon NAdam RAdam Rprop SparseAdam",
    "optim.swa_utils": "AveragedModel SWALR update_bn get_ema_multi_avg_fn get_swa_multi_avg_fn get_ema_avg_fn",
    "utils.data": "DistributedSampler BatchSampler WeightedRandomSampler ConcatDataset ChainDataset get_worker_info",
    "utils.checkpoint": "checkpoint checkpoint_sequential",
    "linalg": "svd qr eigh lstsq slogdet svdvals eigvalsh pinv matrix_rank matrix_power matrix_exp cond",
    "func": "grad vmap vjp jvp jacrev jacfwd hessian functional_call stack_module_state grad_and_value",
    "amp": "autocast GradScaler custom_fwd custom_bwd",
    "distributions": """Normal Categorical Bernoulli Uniform Exponential Laplace Poisson MultivariateNormal
    LogNormal Independent TransformedDistribution OneHotCategorical kl_divergence Gamma Beta Dirichlet StudentT Chi2
    Binomial Geometric Gumbel HalfNormal Multinomial Cauchy Weibull NegativeBinomial RelaxedBernoulli
    RelaxedOneHotCategorical MixtureSameFamily biject_to transform_to""",
    "autograd.graph": "saved_tensors_hooks save_on_cpu disable_saved_tensors_hooks",
    "signal.windows": "hann hamming blackman bartlett kaiser gaussian",
    "special": "gammainc gammaincc bessel_j0 bessel_j1 bessel_y0 bessel_y1 modified_bessel_k0 modified_bessel_k1",
}
NAMES = [(where, name) for part in (MUST, SHOULD, COULD) for where in part for name in sorted(set(part[where].split()))]


def found(lib, where, name):
    owner = lib
    for part in filter(None, where.split(".")):
        if not hasattr(owner, part):  # a module that only an import brings
            import importlib

            importlib.import_module(f"{lib.__name__}.{where}")
        owner = getattr(owner, part)
    return getattr(owner, name)


def arguments(thing):
    """[(name, kind, default)] as far as they can be asked for."""
    try:
        parameters = inspect.signature(thing).parameters.values()
    except (TypeError, ValueError):
        return None
    kinds = inspect.Parameter
    if any(p.kind in (kinds.VAR_POSITIONAL, kinds.VAR_KEYWORD) for p in parameters):
        return None
    return [(p.name, p.kind.name, plain(p.default)) for p in parameters]


EXCUSED = {
    "no_grad": "torch's signature hides the function that `@no_grad` without brackets is given",
    "save": "pickle_module is not taken, so that its default is None",
    "utils.data.random_split": "the default generator is looked up when it is called",
}


def plain(default):
    if default is inspect.Parameter.empty:
        return "required"
    if callable(default):
        return "function"
    return str(default).replace("hadamard", "torch")


@pytest.mark.parametrize("where, name", NAMES, ids=[f"{w}.{n}".lstrip(".") for w, n in NAMES])
def test_name(where, name):
    mine = found(H, where, name)
    try:
        import torch
    except ImportError:
        return
    theirs = found(torch, where, name)
    assert callable(mine) == callable(theirs) or not OURS
    wanted, given = arguments(theirs), arguments(mine)
    # What is native on one side tells no signature; tests of the operators call it with every argument instead.
    if wanted is not None and given is not None and not (where == "Tensor" or name in ("Tensor", "Size")):
        assert (given == wanted) != (f"{where}.{name}".lstrip(".") in EXCUSED)


def test_a_name_that_is_missing_is_said_in_torchs_words():
    with pytest.raises(AttributeError, match="module 'torch' has no attribute 'no_such_name'"):
        H.no_such_name  # noqa: B018
