# SPDX-License-Identifier: MIT
"""The guest's file system: a newc cpio archive, the same bytes whenever the same files go in."""
import gzip
import lzma
import os
import pathlib
import random
import re
import subprocess

from kernel import Missing

DIRECTORY, FILE = 0o040755, 0o100755
DATA = 1_048_573  # bytes of test data; a prime, so that repeating them repeats no page


class Archive:
    def __init__(self):
        self.entries = {}  # name -> (mode, bytes)

    def add(self, name, data, mode=FILE):
        for parent in reversed(pathlib.PurePosixPath(name).parents):
            if str(parent) != ".":
                self.entries.setdefault(str(parent), (DIRECTORY, b""))
        self.entries[name] = (mode, data)

    def directory(self, name):
        self.add(name, b"", DIRECTORY)

    def pack(self):
        """Padded to four bytes, so that another archive may follow."""
        out = bytearray()
        for number, name in enumerate([*sorted(self.entries), "TRAILER!!!"], 1):
            mode, data = self.entries.get(name, (0, b""))
            fields = [number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0]
            out += b"070701" + b"".join(b"%08X" % f for f in fields) + name.encode() + b"\0"
            out += bytes(-len(out) % 4) + data
            out += bytes(-len(out) % 4)
        return bytes(out)


def program(path):
    if not pathlib.Path(path).exists():
        raise Missing(f"{path} is not there: run sim/linux --install")
    return pathlib.Path(path).read_bytes()


def with_libraries(archive, path, name):
    """A dynamic program, and every library that its loader asks for."""
    archive.add(name, program(path))
    for library in re.findall(r"(/\S+) \(0x", subprocess.run(["ldd", path], capture_output=True, text=True).stdout):
        archive.add(library.lstrip("/"), pathlib.Path(os.path.realpath(library)).read_bytes())


def build(kernel, init, vfio_test, second):
    """The initramfs; with `second`, a kernel and an initramfs for kexec are in /boot."""
    archive = Archive()
    for directory in ("proc", "sys", "dev", "tmp", "sbin"):
        archive.directory(directory)
    archive.add("init", pathlib.Path(init).read_bytes())
    with_libraries(archive, "/bin/busybox", "bin/busybox")  # that of the package busybox is not static
    archive.add("data", random.Random(1).randbytes(DATA))
    archive.add("bin/vfio_test", program(vfio_test))
    with_libraries(archive, "/sbin/kexec", "sbin/kexec")
    for number, module in enumerate(kernel.modules):
        data = module.read_bytes()
        name = module.name.removesuffix(".xz")
        archive.add(f"modules/{number}-{name}", lzma.decompress(data) if module.suffix == ".xz" else data)
    first = archive.pack()
    if not second:
        return gzip.compress(first, 1, mtime=0)
    boot = Archive()
    boot.add("boot/k", kernel.image.read_bytes())
    boot.add("boot/i", gzip.compress(first, 1, mtime=0))
    return gzip.compress(first, 1, mtime=0) + gzip.compress(boot.pack(), 1, mtime=0)
