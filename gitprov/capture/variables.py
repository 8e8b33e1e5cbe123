"""The environment variables that are recorded: those that change results, and those asked for.

No others: most say who somebody is and where things lie, and some are secrets. `[environment]` in
`.gitprov.toml` adds to the list, by names with `*` and `?`.
"""

import fnmatch
import re
from collections.abc import Iterable, Mapping

# docs/secrets.md says the same in a table; a test compares.
RECORDED = tuple(
    """
    CUBLAS_WORKSPACE_CONFIG CUDA_DEVICE_ORDER CUDA_LAUNCH_BLOCKING CUDA_VISIBLE_DEVICES
    HIP_VISIBLE_DEVICES HSA_OVERRIDE_GFX_VERSION NVIDIA_TF32_OVERRIDE NVIDIA_VISIBLE_DEVICES
    ROCR_VISIBLE_DEVICES ZE_AFFINITY_MASK

    BLIS_NUM_THREADS GOTO_NUM_THREADS KMP_AFFINITY MKL_CBWR MKL_NUM_THREADS NUMBA_NUM_THREADS
    NUMEXPR_NUM_THREADS OMP_* OPENBLAS_NUM_THREADS RAYON_NUM_THREADS TOKENIZERS_PARALLELISM
    VECLIB_MAXIMUM_THREADS

    JAX_DEFAULT_MATMUL_PRECISION JAX_ENABLE_X64 JAX_PLATFORMS PYTORCH_ALLOC_CONF
    PYTORCH_CUDA_ALLOC_CONF PYTORCH_ENABLE_MPS_FALLBACK TF_CUDNN_DETERMINISTIC
    TF_DETERMINISTIC_OPS TF_ENABLE_ONEDNN_OPTS TF_FORCE_GPU_ALLOW_GROWTH TORCHDYNAMO_DISABLE
    TORCH_ALLOW_TF32_CUBLAS_OVERRIDE XLA_FLAGS

    GLOO_SOCKET_IFNAME LOCAL_RANK LOCAL_WORLD_SIZE NCCL_* NODE_RANK RANK WORLD_SIZE

    LSB_JOBID PBS_JOBID SLURM_ARRAY_JOB_ID SLURM_ARRAY_TASK_ID SLURM_CPUS_PER_TASK SLURM_JOB_ID
    SLURM_JOB_NUM_NODES SLURM_JOB_PARTITION SLURM_LOCALID SLURM_NTASKS SLURM_PROCID

    CONDA_DEFAULT_ENV PYTHONHASHSEED PYTHONNOUSERSITE PYTHONOPTIMIZE PYTHONUTF8 PYTHONWARNINGS

    GLOBAL_SEED NUMPY_SEED PL_GLOBAL_SEED RANDOM_SEED SEED

    HF_DATASETS_OFFLINE HF_HUB_OFFLINE TRANSFORMERS_OFFLINE WANDB_MODE

    LANG LANGUAGE LC_* TZ
    """.split()
)


def recorded_variables(environ: Mapping[str, str], also: Iterable[str] = ()) -> dict[str, str]:
    """Return the variables to record, by name; `also` are names or patterns beyond the list."""
    wanted = "|".join(fnmatch.translate(pattern) for pattern in (*RECORDED, *also))
    matches = re.compile(wanted).match
    return {name: environ[name] for name in sorted(environ) if matches(name)}
