"""What pyproject.toml cannot say yet without a warning: the loops of the core that are compiled from C.

One wheel serves every Python; where there is no compiler the package is installed without, and plain forms are used.
"""

from pathlib import Path

from setuptools import Extension, setup

KERNELS = Path("memory_core/kernels")
SOURCES = ("module", "scan", "rows", "codes", "judging", "layers", "reading")

setup(
    ext_modules=[
        Extension(
            "memory_core.kernels._compiled",
            sources=[str(KERNELS / f"{name}.c") for name in SOURCES],
            depends=[str(KERNELS / name) for name in ("kernels.h", "scan_loop.h")],
            extra_compile_args=["-O3", "-g0", "-Wno-psabi"],
            py_limited_api=True,
            optional=True,
        )
    ],
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
)
