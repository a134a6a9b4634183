# SPDX-License-Identifier: MIT
"""Debian kernels, fetched and unpacked, never installed."""
import pathlib
import re
import subprocess


class Missing(Exception):
    """Something that a run needs is not there; the text says how to get it."""


# Package names carry the version and rotate: the meta package says which one it is now.
META = {"6.1": "linux-image-cloud-amd64", "6.12": "linux-image-6.12-cloud-amd64"}
# What VFIO needs, in load order.
MODULES = ["virt/lib/irqbypass", "drivers/vfio/vfio", "drivers/vfio/vfio_iommu_type1", "drivers/vfio/vfio_virqfd",
           "drivers/vfio/pci/vfio-pci-core", "drivers/vfio/pci/vfio-pci"]


def package_of(version):
    meta = META[version]
    out = subprocess.run(["apt-cache", "depends", meta], capture_output=True, text=True)
    found = re.search(r"Depends: (linux-image-\S+)", out.stdout)
    if not found:
        raise Missing(f"kernel {version}: apt does not know {meta}; run apt-get update, Debian 12 with its security archive")
    return found.group(1)


class Kernel:
    def __init__(self, image, modules):
        self.image = image      # path of vmlinuz
        self.modules = modules  # paths, in load order


def fetch(version, cache):
    """The kernel of that series, in the directory `cache`."""
    place = pathlib.Path(cache) / f"kernel-{version}"
    ready = place / "ready"
    if not ready.exists():
        place.mkdir(parents=True, exist_ok=True)
        package = package_of(version)
        for old in place.glob("*.deb"):
            old.unlink()
        got = subprocess.run(["apt-get", "download", "-q", package], cwd=place, capture_output=True, text=True)
        debs = list(place.glob("*.deb"))
        if got.returncode != 0 or len(debs) != 1:
            raise Missing(f"kernel {version}: {package} cannot be fetched: {got.stderr.strip().splitlines()[-1:]}")
        subprocess.run(["dpkg-deb", "-x", debs[0].name, "."], cwd=place, check=True)
        debs[0].unlink()
        ready.write_text(package + "\n")
    image = next((place / "boot").glob("vmlinuz-*"))
    tree = next((place / "lib/modules").glob("*")) / "kernel"
    modules = []
    for name in MODULES:
        for suffix in (".ko", ".ko.xz"):
            path = tree / (name + suffix)
            if path.exists():
                modules.append(path)
    return Kernel(image, modules)
