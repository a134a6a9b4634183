# SPDX-License-Identifier: MIT
"""Debian kernels, fetched and unpacked, never installed."""
import contextlib
import fcntl
import os
import pathlib
import re
import shutil
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


@contextlib.contextmanager
def alone(place):
    """Of all runs on this machine, one at a time in here."""
    place.parent.mkdir(parents=True, exist_ok=True)
    with open(place.with_name(place.name + ".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def state(version, cache):
    """In words: fetched, or what would be; raises Missing if it cannot be."""
    ready = pathlib.Path(cache) / f"kernel-{version}" / "ready"
    return f"{ready.read_text().strip()}, fetched" if ready.exists() else f"{package_of(version)}, fetched when needed"


def download(package, directory):
    return subprocess.run(["apt-get", "download", "-q", package], cwd=directory, capture_output=True, text=True)


def unpack(version, place):
    """The newest kernel of that series into the directory `place`: all of it, or no `place`."""
    package = package_of(version)
    scratch = place.with_name(place.name + ".new")
    shutil.rmtree(scratch, ignore_errors=True)
    shutil.rmtree(place, ignore_errors=True)
    scratch.mkdir()
    got = download(package, scratch)
    if got.returncode != 0 and "404" in got.stderr:  # the list is older than the archive
        root = [] if os.getuid() == 0 else ["sudo", "-n"]
        with contextlib.suppress(OSError):
            subprocess.run([*root, "apt-get", "update", "-q"], capture_output=True)
        package = package_of(version)
        got = download(package, scratch)
    debs = list(scratch.glob("*.deb"))
    if got.returncode != 0 or len(debs) != 1:
        why = (got.stderr.strip().splitlines() or ["it brought no package"])[-1]
        raise Missing(f"kernel {version}: `apt-get download {package}` fails: {why}; run apt-get update, "
                      "then sim/linux again")
    subprocess.run(["dpkg-deb", "-x", debs[0].name, "."], cwd=scratch, check=True)
    debs[0].unlink()
    (scratch / "ready").write_text(package + "\n")
    scratch.rename(place)


def fetch(version, cache):
    """The kernel of that series, in the directory `cache`."""
    place = pathlib.Path(cache) / f"kernel-{version}"
    with alone(place):
        if not (place / "ready").exists():
            unpack(version, place)
    image = next((place / "boot").glob("vmlinuz-*"))
    tree = next((place / "lib/modules").glob("*")) / "kernel"
    modules = []
    for name in MODULES:
        for suffix in (".ko", ".ko.xz"):
            path = tree / (name + suffix)
            if path.exists():
                modules.append(path)
    return Kernel(image, modules)
