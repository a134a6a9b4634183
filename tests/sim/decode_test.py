#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""`vtdsim decode` says of hand-made dumps and memory images what the architecture says of them.

Images and values are built here bit by bit, from the architecture's tables and not from our headers.
Usage: decode_test.py VTDSIM
"""
import pathlib
import struct
import subprocess
import sys
import tempfile

BASE = 0x100000


class Memory:
    """64-bit words from BASE on."""

    def __init__(self, pages=32):
        self.bytes = bytearray(pages * 4096)

    def put(self, address, *words):
        struct.pack_into(f"<{len(words)}Q", self.bytes, address - BASE, *words)


class Test:
    def __init__(self, program, work):
        self.program, self.work = program, pathlib.Path(work)
        self.failures = self.checks = 0

    def file(self, name, content):
        path = self.work / name
        path.write_bytes(content if isinstance(content, (bytes, bytearray)) else content.encode())
        return str(path)

    def memory(self, memory):
        return [self.file("memory.bin", memory.bytes), "--base", hex(BASE)]

    def run(self, *arguments):
        return subprocess.run([self.program, "decode", *arguments], capture_output=True, text=True, timeout=60)

    def fail(self, arguments, text):
        self.failures += 1
        print(f"decode {' '.join(arguments)}\n{text}")

    def says(self, arguments, *lines, without=()):
        """Each of `lines` is a line of the answer, but for its indentation, and they come in this order."""
        self.checks += 1
        result = self.run(*arguments)
        left = [line.strip() for line in result.stdout.splitlines()]
        if result.returncode != 0 or result.stderr:
            return self.fail(arguments, f"status {result.returncode}: {result.stderr}")
        for text in without:
            if text in result.stdout:
                return self.fail(arguments, f"says {text!r}:\n{result.stdout}")
        for line in lines:
            if line not in left:
                return self.fail(arguments, f"does not say, or not in its place:\n  {line}\nbut:\n{result.stdout}")
            left = left[left.index(line) + 1:]

    def refuses(self, arguments, text):
        self.checks += 1
        result = self.run(*arguments)
        if result.returncode != 2 or text not in result.stderr or result.stdout:
            self.fail(arguments, f"status {result.returncode}, expected 2 and {text!r}:\n{result.stdout}{result.stderr}")


def field(name, bits, value, text=""):
    return f"{name:<12} [{bits:>7}] = {value:<#18x} {text}".strip()


# ---- registers --------------------------------------------------------------------------------------------------
# 65536 domains, SAGAW 3 and 4 levels, MGAW 48, FRO 0x600, 2M and 1G, PSI, 8 fault records, MAMV 18
CAP = 6 | 0b110 << 8 | 47 << 16 | 0x60 << 24 | 3 << 34 | 1 << 39 | 7 << 40 | 18 << 48
ECAP = 0b11 | 0x50 << 8 | 15 << 20 | 19 << 35 | 1 << 43


def registers(t):
    dump = t.file("dump", f"""# a dump
VER 10
008 {CAP:016x}   # by offset
0x10 {ECAP:#x}
GSTS=c6000000
20 00101400
24 1
FSTS 0x302
FECTL 80000001
IQA 100807
500 {0x12345000 | 1 << 6 | 9:x}
508 {3 << 60 | 5 << 32:x}
630 12345000
638 {1 << 63 | 1 << 62 | 6 << 32 | 0x18:x}
700 5
""")
    t.says(["registers", dump],
           "VER, version: offset 0x0, 32 bits, VT-d 11.4.1, value 0x10",
           f"CAP, capabilities: offset 0x8, 64 bits, VT-d 11.4.2, value {CAP:#x}",
           field("ND", "2:0", 6, "65536 domains, 16-bit DID"),
           field("CM", "7", 0, "caching mode: not-present entries may be cached: no"),
           field("SAGAW", "12:8", 6, "second-stage tables: 39-bit, 3 levels; 48-bit, 4 levels"),
           field("MGAW", "21:16", 47, "guest address width: 48 bits"),
           field("FRO", "33:24", 0x60, "fault records: at 0x600"),
           field("SSLPS", "37:34", 3, "second-stage pages: 4K, 2M, 1G"),
           field("NFR", "47:40", 7, "fault records: 8"),
           field("MAMV", "53:48", 18, "largest page-selective invalidation: 2^18 pages"),
           field("QI", "1", 1, "queued invalidation: yes"),
           field("IRO", "17:8", 0x50, "IVA at 0x500, IOTLB at 0x508"),
           field("PSS", "39:35", 19, "20-bit PASIDs, if PASID is set"),
           "GSTS, global status: offset 0x1c, 32 bits, VT-d 11.4.4.2, value 0xc6000000",
           field("TES", "31", 1, "translation enabled: yes"),
           field("QIES", "26", 1, "queued invalidation enabled: yes"),
           field("CFIS", "23", 0, "compatibility-format interrupts pass: no"),
           "RTADDR, root table address: offset 0x20, 64 bits, VT-d 11.4.5, value 0x100101400",
           field("RTA", "63:12", 0x100101000, "root table"),
           field("TTM", "11:10", 1, "table mode: scalable"),
           field("PPF", "1", 1, "fault records pending: yes"),
           field("FRI", "15:8", 3, "first pending fault record, if PPF is set: FRCD3"),
           field("IM", "31", 1, "interrupt masked: yes"),
           "reserved bits set: 0",
           field("DW", "11", 1, "descriptors: 256 bit"),
           field("QS", "2:0", 7, "ring of: 512K"),
           "IVA, invalidate address: offset 0x500, 64 bits, VT-d 11.4.6.3, value 0x12345049",
           field("ADDR", "63:12", 0x12345000),
           field("AM", "5:0", 9, "2^9 pages"),
           field("IIRG", "61:60", 3, "requested: page-selective"),
           "FRCD3, fault record: offset 0x630, 128 bits, VT-d 11.4.14.1",
           "read of 0x12345000 by 00:03.0, refused",
           "offset 0x700 = 0x5: no register is known here", without=["is not in the dump"])
    t.says(["registers", "--reg", "FSTS=0x10", "--reg", "630=1", "--reg", "IOTLB=8000000000000000", "--reg", "c=5"],
           "CAP, capabilities: offset 0x8, 64 bits, VT-d 11.4.2, value 0x500000000 (the low half is not in the dump)",
           field("IQE", "4", 1, "invalidation queue error: the queue has stopped, IQERCD tells why: yes"),
           "IOTLB, IOTLB invalidate: placed by ECAP.IRO, 64 bits, VT-d 11.4.6.2, value 0x8000000000000000",
           field("IVT", "63", 1, "invalidation in progress: yes"),
           "offset 0x630 = 0x1: no register is known here",
           "(IVA and IOTLB are placed by ECAP.IRO, and ECAP is not in the dump)")
    t.says(["registers", "--reg", "630=1"], "(fault records are placed by CAP.FRO, and CAP is not in the dump)")
    t.says(["registers", "--reg", "IQERCD=ffff001800000004"], field("ICESID", "63:48", 0xffff, "device of the completion error: ff:1f.7"),
           field("IQEI", "3:0", 4, "reserved field not zero"))
    t.says(["registers", "--reg", "CAP=4000000007"], field("ND", "2:0", 7, "reserved"), "reserved bits set: 38")
    t.says(["registers", "--reg", "PLMBASE=12300001", "--reg", "IQT=30"],
           field("ADDR", "31:20", 0x12300000), "reserved bits set: 0",
           field("QT", "18:4", 0x30, "end of the descriptors, bytes into the ring"))

    for text, said in [("VER 10\nCAPS 1\n", ":2: there is no register 'CAPS'"), ("VER 1 2\n", ":1: expected OFFSET VALUE or NAME VALUE"),
                       ("\n\nVER\n", ":3: expected OFFSET VALUE"), ("VER xyz", ":1: 'xyz' is not a 64-bit number in hex"),
                       ("GSTS 100000000", ":1: GSTS has 32 bits, 0x100000000 has more"),
                       ("CAP 1\n8 2", ":2: offset 0x8 is given twice"), ("IVA 1\nIVA 1", ":2: IVA is given twice"),
                       ("6 1", ":1: offset 0x6, expected a multiple of 4"), ("1c 100000000", ":1: offset 0x1c, expected a multiple of 8"),
                       ("10000 1", "below 0x10000"), ("CAP 11111111222222223", ":1: '11111111222222223' is not"),
                       ("# only this\n", "there is no register to decode")]:
        t.refuses(["registers", t.file("bad", text)], said)
    t.refuses(["registers", "/nowhere"], "/nowhere: cannot read the file")
    t.refuses(["registers", str(t.work)], "cannot read the file")
    t.refuses(["registers"], "expected a FILE with some or --reg NAME=VALUE")
    t.refuses(["registers", "--reg", "GSTS"], "--reg GSTS: expected OFFSET VALUE or NAME VALUE")


# ---- fault records ----------------------------------------------------------------------------------------------
def fault(t):
    def record(code, source, t1=0, t2=0, at=0, pasid=None, priv=0, exe=0):
        high = 1 << 63 | t1 << 62 | at << 60 | code << 32 | priv << 29 | exe << 30 | t2 << 28 | source
        return f"{high | (0 if pasid is None else 1 << 31 | pasid << 40):x}"

    t.says(["fault", "0x" + record(5, 0x0018), "0x0000000012345000"],
           field("FI", "63:12", 0x12345000, "address; of an interrupt request, its index in [63:48]"), field("SID", "79:64", 0x18, "00:03.0"),
           field("FR", "103:96", 5, "WritePermission: no write permission"),
           field("AT", "125:124", 0, "untranslated request"), field("F", "127", 1, "fault recorded: yes"),
           "write of 0x12345000 by 00:03.0, refused", "reason 0x05 WritePermission: no write permission",
           "look at: the second-stage paging entries on the path",
           "usual cause: not mapped, unmapped too early, mapped for the other direction, or a stale IOTLB",
           "not recorded when FPD is set; recoverable for ATS", without=["reserved"])
    t.says(["fault", record(0x71, 0x3A29, t1=1, pasid=0x12345, priv=1, exe=1, at=1), "fffff000"],
           "read of 0xfffff000 by 3a:05.1, PASID 0x12345, privileged, execute, refused",
           "reason 0x71 FsNotPresent: first-stage entry not present")
    t.says(["fault", record(0x39, 0x8000, t1=1, t2=1), "0"], "atomic of 0x0 by 80:00.0, refused",
           "look at: the root entry of the bus, its half by devfn bit 7", "recorded when FPD is set; not recoverable for ATS")
    t.says(["fault", record(0x32, 0x0010, t2=1), "1000"], "page request of 0x1000 by 00:02.0, refused")
    t.says(["fault", record(0x22, 0x00FA), f"{0x45 << 48:x}"], "interrupt request of 00:1f.2, index 0x45 (FI[63:48]), refused",
           "reason 0x22 IrNotPresent: interrupt entry not present", "look at: the interrupt entry")
    t.says(["fault", record(0x1F, 1), "1"], "reserved bits set: 0", "reason 0x1f is not known")
    t.says(["fault", "0", "0"], "no fault is recorded")
    t.refuses(["fault", "xyz", "0"], "HIGH 'xyz' is not a 64-bit number in hex")
    t.refuses(["fault", "1", "11112222333344445"], "LOW '11112222333344445' is not a 64-bit number in hex")
    t.refuses(["fault", "1"], "low is required")


# ---- tables -----------------------------------------------------------------------------------------------------
ROOT, CONTEXT, L4, L3, L2, L1 = (BASE + i * 0x1000 for i in range(6))
R, W, RW, PS, SNP = 1, 2, 3, 1 << 7, 1 << 11


def second_stage(m):
    """4K pages 0x10..0x13 in a run, 0x14 elsewhere, 0x15 read-only; 2M at 0x200000; an unusable 2M; a table away."""
    m.put(L4, L3 | RW)
    m.put(L3, L2 | RW)
    m.put(L2, L1 | RW, 0x4000000 | PS | RW, 0x4201000 | PS | R, 0x90000000 | RW, 0x1000 | RW | SNP)
    for i in range(4):
        m.put(L1 + 8 * (0x10 + i), 0x5000000 + i * 0x1000 | RW)
    m.put(L1 + 8 * 0x14, 0x6000000 | RW, 0x6001000 | R, 4)


def legacy():
    m = Memory()
    m.put(ROOT, CONTEXT | 1, 0)
    m.put(ROOT + 16 * 1, CONTEXT | 1, 1 << 3)                      # reserved bit 67
    m.put(ROOT + 16 * 2, 0x70000000 | 1, 0)                        # outside
    m.put(ROOT + 16 * 3, 0x1000, 0)                                # not present, not zero
    m.put(ROOT + 16 * 4, 1 << 47 | 1, 0)
    m.put(CONTEXT + 16 * 0x18, L4 | 1, 2 | 5 << 8)                 # 00:03.0, 4 levels, DID 5
    m.put(CONTEXT + 16 * 0x20, 1 | 2 << 2, 2 | 6 << 8)             # pass-through
    m.put(CONTEXT + 16 * 0x21, L4 | 1 | 3 << 2 | 1 << 4, 7)        # TT 3, AW 7, bit 4
    m.put(CONTEXT + 16 * 0x22, 0x80000000 | 1 | 2, 1 | 9 << 8)     # FPD, 3 levels, outside
    second_stage(m)
    return m


def tables_legacy(t):
    memory = t.memory(legacy())
    outside = f"outside of the image 0x100000..{BASE + 32 * 4096 - 1:#x}"
    t.says(["tables", *memory, "--root", hex(ROOT)],
           "root table at 0x100000, legacy mode",
           "bus 00: P=0x1 CTP=0x101000",
           "00:03.0: P=0x1 TT=0x0 (untranslated requests) SSPTPTR=0x102000 AW=0x2 (48-bit, 4 levels) DID=0x5",
           "second-stage: 4 levels, 48 bit",
           "level 4 [0] 0x0: table 0x103000, R=0x1 W=0x1",
           "level 3 [0] 0x0: table 0x104000, R=0x1 W=0x1",
           "level 2 [0] 0x0: table 0x105000, R=0x1 W=0x1",
           "level 1 [16..19] 0x10000..0x13fff -> 0x5000000..0x5003fff: 4 x 4K, R=0x1 W=0x1",
           "level 1 [20] 0x14000..0x14fff -> 0x6000000..0x6000fff: 1 x 4K, R=0x1 W=0x1",
           "level 1 [21] 0x15000..0x15fff -> 0x6001000..0x6001fff: 1 x 4K, R=0x1",
           "level 2 [1] 0x200000..0x3fffff -> 0x4000000..0x41fffff: 1 x 2M, R=0x1 W=0x1 PS=0x1",
           "level 2 [2] 0x400000: page 0x4200000, R=0x1 PS=0x1",
           "unusable: reserved bits set: 12",
           "level 2 [3] 0x600000: table 0x90000000, R=0x1 W=0x1",
           f"table 0x90000000 is {outside}",
           "level 2 [4] 0x800000: table 0x1000, R=0x1 W=0x1 SNP=0x1",
           "unusable: reserved bits set: 11",
           "00:04.0: P=0x1 TT=0x2 (pass-through) AW=0x2 (48-bit, 4 levels) DID=0x6",
           "pass-through: the address of a request is the host address",
           "00:04.1: P=0x1 TT=0x3 (reserved) SSPTPTR=0x102000 AW=0x7 (reserved)",
           "unusable: reserved bits set: 4", "unusable: TT is reserved", "unusable: AW is reserved",
           "00:04.2: P=0x1 FPD=0x1 (fault processing disabled) TT=0x0 (untranslated requests) SSPTPTR=0x80000000 "
           "AW=0x1 (39-bit, 3 levels) DID=0x9",
           f"table 0x80000000 is {outside}",
           "252 of 256 context entries are zero, not present",
           "bus 01: P=0x1 CTP=0x101000",
           "unusable: reserved bits set: 67",
           "bus 02: P=0x1 CTP=0x70000000",
           f"context entries 0x0 at 0x70000000 is {outside}",
           "bus 03: CTP=0x1000", "unusable: not present",
           "251 of 256 root entries are zero, not present")
    root = ["tables", *memory, "--root", hex(ROOT)]
    t.says([*root, "--haw", "46"], "bus 04: P=0x1 CTP=0x800000000000", "unusable: CTP is beyond 46 bits")
    t.says([*root, "--source", "00:03.1"], "00:03.1: zero", "unusable: not present", without=["00:04", "bus 01"])
    t.says([*root, "--source", "05:00.0"], "bus 05: zero", "unusable: not present")

    path = [*root, "--source", "00:03.0", "--iova"]
    t.says([*path, "0x12345"],
           "second-stage path of 0x12345: 4 levels, 48 bit",
           "level 4 [0] at 0x102000: table 0x103000, R=0x1 W=0x1",
           "level 3 [0] at 0x103000: table 0x104000, R=0x1 W=0x1",
           "level 2 [0] at 0x104000: table 0x105000, R=0x1 W=0x1",
           "level 1 [18] at 0x105090: page 0x5002000, R=0x1 W=0x1",
           "page of 4K, rights along the path: R=0x1 W=0x1",
           "0x12345 -> 0x5002345")
    t.says([*path, "0x15004"], "page of 4K, rights along the path: R=0x1", "0x15004 -> 0x6001004")
    t.says([*path, "0x212345"], "page of 2M, rights along the path: R=0x1 W=0x1", "0x212345 -> 0x4012345")
    t.says([*path, "0x16000"], "0x16000 is not translated: the level 1 entry is not present")
    t.says([*path, "0x400000"], "0x400000 is not translated: the level 2 entry is unusable: reserved bits set: 12")
    t.says([*path, "0x600000"], f"0x600000 is not translated: the level 1 entry at 0x90000000 is {outside}")
    t.says([*path, "0x1000000000000"], "0x1000000000000 is not translated: it is beyond the width of 48 bits")
    m = legacy()
    m.put(L1, 0xFEE00000 | RW)
    m.put(L1 + 8, W | 0x7000000)
    m.put(L3, L2 | R)
    changed = t.memory(m)
    path[1:4] = changed
    t.says([*path, "0x10"], "0x10 -> 0xfee00010, unusable: in the interrupt range")
    t.says([*path, "0x1000"], "0x1000 is not translated: the entries of the path have no right in common")
    m.put(CONTEXT + 16 * 0x23, 1 << 45 | 1, 2)
    m.put(CONTEXT + 16 * 0x24, 1 << 45 | 1 | 2 << 2, 2)
    root[1:4] = t.memory(m)
    t.says([*root, "--haw", "40", "--source", "00:04.3"], "unusable: SSPTPTR is beyond 40 bits")
    t.says([*root, "--haw", "40", "--source", "00:04.4"],
           "pass-through: the address of a request is the host address", without=["unusable"])
    # What a unit lacks: 3 and 5 levels and super pages; ECAP.PT, DT and SC.
    m = legacy()
    m.put(CONTEXT + 16 * 0x23, L4 | 1 | 1 << 2, 2)
    m.put(L1 + 8 * 0x18, 0x7000000 | R | SNP, 0x7001000 | R | 1 << 62)
    root[1:4] = t.memory(m)
    t.says([*root, "--cap", hex(1 << 10 | 39 << 16), "--ecap", "0"],
           "level 1 [24] 0x18000: page 0x7000000, R=0x1 SNP=0x1", "unusable: SNP needs ECAP.SC",
           "unusable: TM needs ECAP.DT",
           "level 2 [1] 0x200000: page 0x4000000, R=0x1 W=0x1 PS=0x1", "unusable: a 2M page needs CAP.SSLPS bit 0",
           "unusable: TT needs ECAP.PT", "unusable: CAP.SAGAW has no 3 levels", "unusable: TT needs ECAP.DT")
    t.says([*root, "--source", "00:03.0", "--cap", hex(1 << 10 | 38 << 16), "--iova", "0x8000000000"],
           "0x8000000000 is not translated: it is beyond the width of 39 bits")
    # A table that contains itself, at every level.
    m = legacy()
    m.put(L4, *[L4 | RW] * 512)
    cyclic = t.memory(m)
    result = t.run("tables", *cyclic, "--root", hex(ROOT), "--limit", "50")
    lines = result.stdout.splitlines()
    if len(lines) != 51 or lines[-1] != "... cut after 50 lines; --limit N prints more":
        t.fail(["--limit 50"], result.stdout)
    if len(t.run("tables", *cyclic, "--root", hex(ROOT)).stdout.splitlines()) != 10001:
        t.fail(["the default limit"], "is not 10000 lines")
    # An image that ends within a table.
    m = legacy()
    del m.bytes[ROOT - BASE + 8:]
    t.says(["tables", *t.memory(m), "--root", hex(ROOT)], "root entries 0x0 at 0x100000 is outside of the image 0x100000..0x100007")
    m = legacy()
    del m.bytes[ROOT - BASE + 24:]
    t.says(["tables", *t.memory(m), "--root", hex(ROOT)], "root entries 0x1 at 0x100010 is outside of the image 0x100000..0x100017")

    memory = t.memory(legacy())
    root = ["tables", *memory, "--root", hex(ROOT)]
    t.refuses(["tables", *memory, "--root", "0x80000"], f"--root: 0x80000 is {outside}")
    t.refuses(["tables", *memory, "--root", hex(ROOT + 1)], "--root 0x100001: not at a page, expected RTADDR")
    t.refuses(["tables", *memory, "--root", hex(ROOT | 3 << 10)], "TTM is abort DMA, expected legacy or scalable mode")
    t.refuses(["tables", *memory, "--root", "zero"], "--root: 'zero' is not a number")
    t.refuses(["tables", *memory], "--root is required")
    t.refuses([*root, "--iova", "0x1000"], "--iova: needs --source")
    t.refuses([*root, "--pasid", "1"], "--pasid: legacy mode has no PASIDs")
    t.refuses([*root, "--pasid", "0x100000"], "--pasid: '0x100000' is not a number of 20 bits")
    t.refuses([*root, "--source", "3"], "--source: '3' is not BB:DD.F, such as 00:03.0")
    t.refuses([*root, "--mode", "other"], "--mode")
    t.refuses([*root, "--haw", "12"], "--haw")
    t.refuses(["tables", "/nowhere", "--base", "0", "--root", "0"], "/nowhere: cannot read the file")
    t.refuses(["tables", str(t.work), "--base", "0", "--root", "0"], "cannot read the file")
    t.refuses(["tables", t.file("empty", ""), "--base", "0", "--root", "0"], "the file is empty")
    t.refuses(["tables", memory[0], "--base", "0xffffffffffffff00", "--root", "0"], "--base 0xffffffffffffff00: the 0x20000 bytes")


# Scalable mode.
DIRECTORY, PASIDS, F4, F3, F2, F1 = (BASE + i * 0x1000 for i in range(6, 12))
P, FRW, US, XD = 1, 2, 4, 1 << 63


def scalable():
    m = Memory()
    m.put(ROOT, CONTEXT | 1, (CONTEXT + 0x8000) | 1)
    m.put(CONTEXT + 32 * 0x18, DIRECTORY | 1 | 1 << 3 | 1 << 9, 2 | 1 << 20, 0, 0)  # 256 entries, RID_PASID 2
    m.put(CONTEXT + 32 * 0x19, DIRECTORY | 1 | 1 << 5, 0, 0, 1)
    m.put(CONTEXT + 0x8000 + 32, DIRECTORY | 1, 0, 0, 0)                            # 00:10.1
    m.put(DIRECTORY, PASIDS | 1, 1 << 2 | 1, 0x80000000 | 1)
    m.put(PASIDS, F4 | 1 | 2 << 6 | 2 << 2, 7, 0)                                   # 0: second-stage
    m.put(PASIDS, L4 | 1 | 2 << 6 | 2 << 2, 7, 0)
    m.put(PASIDS + 64, 1 | 1 << 6, 8, F4 | 1)                                       # 1: first-stage, SRE
    m.put(PASIDS + 128, L4 | 1 | 3 << 6 | 2 << 2, 9, 0x20000)                       # 2: nested, top table at guest 0x20000
    m.put(PASIDS + 192, 1 | 4 << 6, 10)                                             # 3: pass-through
    m.put(PASIDS + 256, 1 | 5 << 6 | 1 << 5, 1 << 16, 2 << 2)                       # 4: bad
    m.put(PASIDS + 320, 1 | 3 << 6, 1, 2 << 2, 1)                                   # 5: worse
    second_stage(m)
    for i, page in enumerate((F4, F3, F2, F1)):                                     # guest 0x20000.. is the first stage
        m.put(L1 + 8 * (0x20 + i), page | RW)
    m.put(F4, F3 | P | FRW | US)
    m.put(F4 + 8 * 256, F3 | P | FRW | US)
    m.put(F3, F2 | P | FRW | US, 0x80000000 | P | PS)
    m.put(F2, F1 | P | FRW | US, 0x4000000 | P | PS | 1 << 12)
    m.put(F1, 0x10000 | P | FRW | US | XD, 0x11000 | P | FRW | US | XD, 1 << 47 | P)
    return m


def nested():
    """First-stage tables name one another by guest address."""
    m = scalable()
    m.put(F4, 0x21000 | P | FRW | US)
    m.put(F4 + 8 * 256, 0x30000 | P | FRW)
    m.put(F3, 0x22000 | P | FRW | US, 0)
    m.put(F2, 0x23000 | P | FRW | US, 0)
    m.put(F1, 0x10000 | P | US, 0x11000 | P | US, 0x17000 | P)
    return m


def tables_scalable(t):
    memory = t.memory(scalable())
    root = ["tables", *memory, "--root", hex(ROOT | 1 << 10)]
    outside = f"outside of the image 0x100000..{BASE + 32 * 4096 - 1:#x}"
    t.says(root,
           "root table at 0x100000, scalable mode",
           "bus 00, devices 00..0f: LP=0x1 LCTP=0x101000",
           "00:03.0: P=0x1 PASIDE=0x1 (requests with PASID) PDTS=0x1 (16384 PASIDs) PASIDDIRPTR=0x106000 RID_PASID=0x2 RID_PRIV=0x1",
           "PASIDs 0x0..0x3f: P=0x1 SMPTBLPTR=0x107000",
           "PASID 0x0: P=0x1 AW=0x2 (48-bit, 4 levels) PGTT=0x2 (second-stage) SSPTPTR=0x102000 DID=0x7 FSPM=0x0 (4 levels)",
           "second-stage: 4 levels, 48 bit",
           "PASID 0x1: P=0x1 AW=0x0 (reserved) PGTT=0x1 (first-stage) DID=0x8 SRE=0x1 FSPM=0x0 (4 levels) FSPTPTR=0x108000",
           "first-stage: 4 levels, 48 bit",
           "level 1 [0..1] 0x0..0x1fff -> 0x10000..0x11fff: 2 x 4K, P=0x1 RW=0x1 US=0x1 XD=0x1",
           "level 2 [1] 0x200000..0x3fffff -> 0x4000000..0x41fffff: 1 x 2M, P=0x1 PS=0x1 PAT=0x1",
           "level 3 [1] 0x40000000..0x7fffffff -> 0x80000000..0xbfffffff: 1 x 1G, P=0x1 PS=0x1",
           "level 4 [256] 0xffff800000000000: table 0x109000, P=0x1 RW=0x1 US=0x1",
           "PASID 0x3: P=0x1 AW=0x0 (reserved) PGTT=0x4 (pass-through) DID=0xa FSPM=0x0 (4 levels)",
           "pass-through: the address of a request is the host address",
           "PASID 0x4: P=0x1 AW=0x0 (reserved) PGTT=0x5 (reserved) FSPM=0x2 (reserved)",
           "unusable: reserved bits set: 5, 80",
           "unusable: PGTT is reserved",
           "unusable: reserved bits set: 192",
           "unusable: AW is reserved", "unusable: FSPM is reserved",
           "58 of 64 PASID entries are zero, not present",
           "PASIDs 0x40..0x7f: P=0x1", "unusable: reserved bits set: 2",
           f"PASID entries 0x0 at 0x80000000 is {outside}",
           "253 of 256 PASID directory entries are zero, not present",
           "unusable: reserved bits set: 5, 192",
           "126 of 128 context entries are zero, not present",
           "bus 00, devices 10..1f: LP=0x1 LCTP=0x109000")
    t.says(["tables", *memory, "--root", hex(ROOT), "--mode", "scalable", "--source", "00:10.1", "--pasid", "3"],
           "bus 00, devices 10..1f: LP=0x1 LCTP=0x109000", without=["devices 00..0f"])
    device = [*root, "--source", "00:03.0"]
    t.says([*device, "--pasid", "0x4000"], "PASID 0x4000 is beyond the directory of 16384 PASIDs")
    t.says([*device, "--pasid", "0x3f"], "PASID 0x3f: zero", "unusable: not present")
    t.says([*device, "--haw", "46", "--pasid", "1", "--iova", "0x2000"],
           "0x2000 is not translated: the level 1 entry is unusable: reserved bits set: 47")
    t.says([*device, "--pasid", "1", "--iova", "0xffff800000001234"],
           "first-stage path of 0xffff800000001234: 4 levels, 48 bit",
           "level 4 [256] at 0x108800: table 0x109000, P=0x1 RW=0x1 US=0x1",
           "level 1 [1] at 0x10b008: page 0x11000, P=0x1 RW=0x1 US=0x1 XD=0x1",
           "page of 4K, rights along the path: P=0x1 RW=0x1 US=0x1 XD=0x1",
           "0xffff800000001234 -> 0x11234")
    t.says([*device, "--pasid", "1", "--iova", "0x234567"], "0x234567 -> 0x4034567")
    t.says([*device, "--pasid", "1", "--iova", "0x800000000000"],
           "0x800000000000 is not translated: it is not canonical for 48 bits")

    t.says([*root, "--cap", "0", "--ecap", "0"],
           "unusable: PASIDE needs ECAP.PASID", "unusable: RID_PASID needs ECAP.RPS", "unusable: RID_PRIV needs ECAP.RPRIVS")
    able = hex(1 << 40 | 1 << 49 | 1 << 53)
    t.says([*root, "--cap", hex(1 << 10), "--ecap", able],
           "unusable: PGTT needs ECAP.SSTS", "unusable: SRE needs ECAP.SRS", "unusable: PGTT needs ECAP.FSTS",
           "unusable: PGTT needs ECAP.NEST", "unusable: PGTT needs ECAP.PT")
    t.says([*root, "--cap", hex(1 << 10)], "level 3 [1] 0x40000000: page 0x80000000, P=0x1 PS=0x1",
           "unusable: a 1G page needs CAP.FS1GP")

    m = scalable()
    m.put(PASIDS + 64 + 16, F4 | 1 << 2)                                            # FSPM: 5 levels
    m.put(F4, F3 | P)
    m.put(F4 + 8 * 511, F3 | P | RW)
    m.put(F3 + 8 * 511, F2 | P | RW | 1 << 8)
    m.put(F2 + 8 * 511, F1 | P | RW)
    m.put(F1 + 8 * 511, 0x40000000 | P | PS | RW | 1 << 5)
    five = ["tables", *t.memory(m), *root[4:], "--source", "00:03.0", "--pasid", "1"]
    t.says(five, "first-stage: 5 levels, 57 bit",
           "level 5 [511] 0xffff000000000000: table 0x109000, P=0x1 RW=0x1",
           "level 4 [511] 0xffffff8000000000: table 0x10a000, P=0x1 RW=0x1 G=0x1",
           "level 2 [511] 0xffffffffffe00000..0xffffffffffffffff -> 0x40000000..0x401fffff: 1 x 2M, P=0x1 RW=0x1 A=0x1 PS=0x1")
    t.says([*five, "--iova", "0xfffffffffff12345"], "first-stage path of 0xfffffffffff12345: 5 levels, 57 bit",
           "0xfffffffffff12345 -> 0x40112345")
    t.says([*five, "--iova", "0x100000000000000"], "0x100000000000000 is not translated: it is not canonical for 57 bits")
    m.put(PASIDS + 64, 1 | 1 << 6, 8, 1 << 45)
    t.says(["tables", *t.memory(m), *five[4:], "--haw", "40"], "unusable: FSPTPTR is beyond 40 bits")
    m.put(PASIDS + 64, L4 | 1 | 3 << 6 | 2 << 2, 8, 1 << 45)
    t.says(["tables", *t.memory(m), *five[4:], "--haw", "40"],
           "table 0x200000000000: the second stage does not translate it: the level 4 entry is not present",
           without=["FSPTPTR is beyond"])
    t.says([*five[:1], *t.memory(scalable()), *five[4:], "--cap", "0"], "first-stage: 4 levels, 48 bit")
    m.put(PASIDS + 64, 1 | 1 << 6, 8, F4 | 1 << 2)
    five[1:4] = t.memory(m)
    t.says([*five, "--cap", "0"], "unusable: FSPM needs CAP.FS5LP")

    root[1:4] = t.memory(nested())
    device = [*root, "--source", "00:03.0"]
    t.says([*device, "--pasid", "2"],
           "PASID 0x2: P=0x1 AW=0x2 (48-bit, 4 levels) PGTT=0x3 (nested) SSPTPTR=0x102000 DID=0x9 FSPM=0x0 (4 levels) FSPTPTR=0x20000",
           "first-stage: 4 levels, 48 bit",
           "level 4 [0] 0x0: table 0x21000, P=0x1 RW=0x1 US=0x1",
           "level 1 [0..1] 0x0..0x1fff -> 0x10000..0x11fff: 2 x 4K, P=0x1 US=0x1",
           "level 4 [256] 0xffff800000000000: table 0x30000, P=0x1 RW=0x1",
           "table 0x30000: the second stage does not translate it: the level 1 entry is not present",
           "second-stage: 4 levels, 48 bit",
           "level 1 [32..35] 0x20000..0x23fff -> 0x108000..0x10bfff: 4 x 4K, R=0x1 W=0x1")
    # RID_PASID is 2.
    t.says([*device, "--iova", "0x1234"],
           "first-stage path of 0x1234: 4 levels, 48 bit",
           "level 4 [0] at 0x20000 (host 0x108000): table 0x21000, P=0x1 RW=0x1 US=0x1",
           "level 1 [1] at 0x23008 (host 0x10b008): page 0x11000, P=0x1 US=0x1",
           "0x1234 -> 0x11234",
           "second-stage path of 0x11234: 4 levels, 48 bit",
           "0x11234 -> 0x5001234", without=["second-stage path of 0x1234"])
    t.says([*device, "--iova", "0x2000"], "0x2000 -> 0x17000",
           "0x17000 is not translated: the level 1 entry is not present")
    t.says([*device, "--iova", "0xffff800000000000"],
           "0xffff800000000000 is not translated: table 0x30000: the second stage does not translate it: "
           "the level 1 entry is not present")
    m = nested()
    m.put(L1 + 8 * 0x21, F3 | W)
    root[1:4] = t.memory(m)
    t.says([*device[:1], *root[1:], "--source", "00:03.0", "--iova", "0x1234"],
           "0x1234 is not translated: table 0x21000: the second stage lets nobody read it")


# ---- queues -----------------------------------------------------------------------------------------------------
def queue(t):
    ring = BASE
    narrow = [(1 | 3 << 4 | 5 << 16 | 0x18 << 32 | 1 << 48, 0),
              (2 | 3 << 4 | 1 << 6 | 1 << 7 | 5 << 16, 0x12000 | 1 << 6 | 2),
              (3 | 4 << 16 | 0x18 << 32, 0x13000 | 1),
              (4 | 1 << 4 | 2 << 27 | 0x46 << 32, 0),
              (5 | 1 << 5 | 0xABCD << 32, 0x4000),
              (2 | 1 << 8, 0),
              (0xE, 1)]
    m = Memory()
    for i, words in enumerate(narrow):
        m.put(ring + 16 * i, *words)
    arguments = ["queue", *t.memory(m), "--iqa", hex(ring)]
    t.says([*arguments, "--head", "0x20", "--tail", "0x40"],
           "queue at 0x100000: 256 descriptors of 128 bit, 4096 bytes",
           "head 0x20: descriptor 2", "tail 0x40: descriptor 4",
           "[0] 0x100000: type 1 context-cache invalidation: G=0x3 (device-selective) DID=0x5 SID=0x18 (00:03.0) "
           "FM=0x1 (function bit 2 ignored)",
           "[1] 0x100010: type 2 IOTLB invalidation: G=0x3 (page-selective) DW=0x1 (drain writes) DR=0x1 (drain reads) DID=0x5 "
           "AM=0x2 IH=0x1 (only leaf entries changed) ADDR=0x12000; 2^2 pages: 0x10000..0x13fff, ADDR is not aligned to that",
           "head      [2] 0x100020: type 3 device-TLB invalidation: SID=0x18 (00:03.0) MIP=0x4 PFSID_LOW=0x0 PFSID_HIGH=0x0 "
           "S=0x1 ADDR=0x13000; 2^3 pages: 0x10000..0x17fff",
           "pending   [3] 0x100030: type 4 interrupt-entry-cache invalidation: G=0x1 (index-selective) IIDX=0x46 IM=0x2; "
           "2^2 entries: 0x44..0x47",
           "tail      [4] 0x100040: type 5 wait: IF=0x0 SW=0x1 (status write) FN=0x0 PD=0x0 STATUS_DATA=0xabcd STATUS_ADDR=0x4000",
           "[5] 0x100050: type 2 IOTLB invalidation: G=0x0 (reserved) DW=0x0 DR=0x0 DID=0x0 AM=0x0 IH=0x0 ADDR=0x0",
           "unusable: reserved bits set: 8 of 0x0000000000000102 0x0000000000000000",
           "unusable: G is reserved",
           "[6] 0x100060: type 0xe: 0x000000000000000e 0x0000000000000001",
           "unusable: no descriptor has this type",
           "[7..255] zero")
    t.says([*arguments, "--head", "0x10", "--tail", "0x10"], "head=tail [1] 0x100010: type 2 IOTLB invalidation: G=0x3 "
           "(page-selective) DW=0x1 (drain writes) DR=0x1 (drain reads) DID=0x5 AM=0x2 IH=0x1 (only leaf entries changed) "
           "ADDR=0x12000; 2^2 pages: 0x10000..0x13fff, ADDR is not aligned to that", without=["pending"])
    t.says([*arguments, "--head", "0xff0", "--tail", "0x10"], "head      [255] 0x100ff0: type 0x0: 0x0000000000000000 0x0000000000000000")
    t.says([*arguments, "--head", "0x8", "--tail", "0x1000", "--mode", "scalable"],
           "unusable: scalable mode needs descriptors of 256 bit, IQA.DW=1",
           "head 0x8 is not at a descriptor: the unit sets FSTS.IQE", "tail 0x1000 is beyond the ring: the unit sets FSTS.IQE")

    wide = [(6 | 3 << 4 | 9 << 16 | 0x12345 << 32, 0x40000 | 2, 0, 0),
            (7 | 1 << 4 | 9 << 16 | 0x12345 << 32, 0, 0, 0),
            (8 | 3 << 4 | 0x18 << 16 | 7 << 32, 0x7FFFF000 | 1 << 11, 0, 0),
            (9 | 1 << 4 | 1 << 12 | 0x18 << 16 | 7 << 32, 1 << 2 | 5 << 3, 0, 0),
            (1 | 1 << 4, 0, 1, 1 << 63),
            (7 | 1 << 9, 0, 0, 0),
            (8 | 0x18 << 16, 0x7FFFFFFFFFFFF000 | 1 << 11, 0, 0),
            (2 | 3 << 4, 0x1000 | 52, 0, 0)]
    m = Memory()
    for i, words in enumerate(wide):
        m.put(ring + 32 * i, *words)
    arguments = ["queue", *t.memory(m), "--iqa", hex(ring | 1 << 11 | 1)]
    t.says([*arguments, "--mode", "scalable"],
           "queue at 0x100000: 256 descriptors of 256 bit, 8192 bytes",
           "[0] 0x100000: type 6 PASID IOTLB invalidation: G=0x3 (page-selective) DID=0x9 PASID=0x12345 AM=0x2 IH=0x0 "
           "ADDR=0x40000; 2^2 pages: 0x40000..0x43fff",
           "[1] 0x100020: type 7 PASID-cache invalidation: G=0x1 (PASID-selective) DID=0x9 PASID=0x12345",
           "[2] 0x100040: type 8 PASID device-TLB invalidation: SID=0x18 (00:03.0) PASID=0x7 MIP=0x3 PFSID_LOW=0x0 PFSID_HIGH=0x0 "
           "GLOBAL=0x0 S=0x1 ADDR=0x7ffff000; 2^20 pages: 0x0..0xffffffff",
           "[3] 0x100060: type 9 page group response: SID=0x18 (00:03.0) PP=0x1 (with PASID) PASID=0x7 PRGI=0x5 LPIG=0x1 "
           "RC=0x1 (invalid request)",
           "[4] 0x100080: type 1 context-cache invalidation: G=0x1 (global) DID=0x0 SID=0x0 (00:00.0) FM=0x0 (all function bits compared)",
           "unusable: reserved bits set: 128, 255 of 0x0000000000000011 0x0000000000000000 0x0000000000000001 0x8000000000000000",
           "[5] 0x1000a0: type 0x17: 0x0000000000000207 0x0000000000000000 0x0000000000000000 0x0000000000000000",
           "unusable: no descriptor has this type",
           "[6] 0x1000c0: type 8 PASID device-TLB invalidation: SID=0x18 (00:03.0) PASID=0x0 MIP=0x0 PFSID_LOW=0x0 PFSID_HIGH=0x0 "
           "GLOBAL=0x0 S=0x1 ADDR=0x7ffffffffffff000; 2^52 pages: all addresses",
           "[7] 0x1000e0: type 2 IOTLB invalidation: G=0x3 (page-selective) DW=0x0 DR=0x0 DID=0x0 AM=0x34 IH=0x0 ADDR=0x1000; "
           "2^52 pages: all addresses",
           "[8..255] zero", without=["this type needs scalable mode"])
    t.says([*arguments, "--mode", "legacy"], "unusable: this type needs scalable mode")
    # A ring that is longer than the image; a limit.
    t.says(["queue", *t.memory(m), "--iqa", hex(ring | 7)], "[8192..32767] outside of the image 0x100000..0x11ffff")
    t.says([*arguments, "--limit", "2"], "... cut after 2 lines; --limit N prints more", without=["[2]"])
    t.says(["queue", *t.memory(m), "--iqa", hex(ring | 1 << 5)], "unusable: reserved bits of IQA set: 5")
    t.refuses(["queue", *t.memory(m), "--iqa", "0x1000"], "--iqa: 0x1000 is outside of the image")
    t.refuses(["queue", *t.memory(m), "--iqa", hex(ring), "--head", "x"], "--head: 'x' is not a number")
    t.refuses(["queue", *t.memory(m)], "--iqa is required")


# ---- interrupts -------------------------------------------------------------------------------------------------
def interrupts(t):
    m = Memory()
    descriptor = BASE + 0x2040
    m.put(BASE, 1 | 0x30 << 16 | 5 << 40, 0xF8 | 1 << 18 | 1 << 16)
    m.put(BASE + 16, 1 | 2 | 1 << 2 | 1 << 3 | 1 << 4 | 1 << 5 | 0x41 << 16 | 0x12345678 << 32, 0x0508 | 2 << 18)
    m.put(BASE + 32, 1 | 1 << 12, 3 << 18 | 1 << 20)
    m.put(BASE + 48, 1 | 1 << 14 | 1 << 15 | 0x51 << 16 | (descriptor & 0xFFFFFFC0) << 32, 0xF8 | 1 << 18)
    m.put(descriptor, 1 << 5, 0, 1 << 1, 0, 1 | 0xF2 << 16 | 0x700 << 32, 0, 0, 0)
    m.put(BASE + 64, 1 | 1 << 15 | 0x80000000 << 32, 0x12 << 32)
    m.put(BASE + 80, 0x30 << 16, 0)
    m.put(BASE + 96, 1 | 1 << 15 | (descriptor + 64) << 32, 0)
    m.put(descriptor + 64, 0, 0, 0, 0, 1 << 2, 1, 0, 0)
    arguments = ["irt", *t.memory(m), "--irta"]
    t.says([*arguments, hex(BASE | 3)],
           "interrupt remapping table at 0x100000: 16 entries, 8-bit destinations (EIME=0)",
           "[0x0] remapped: FPD=0x0 IM=0x0 (remapped) V=0x30 DLM=0x0 (fixed) TM=0x0 (edge) XAPIC_DST=0x5 DM=0x0 (physical) RH=0x0 "
           "SVT=0x1 (source must be SID) SID=0xf8 (00:1f.0) SQ=0x1 (function bit 2 ignored)",
           "[0x2] remapped: FPD=0x0 IM=0x0 (remapped) V=0x0 DLM=0x0 (fixed) TM=0x0 (edge) XAPIC_DST=0x0 DM=0x0 (physical) RH=0x0 "
           "SVT=0x3 (reserved) SID=0x0 (00:00.0) SQ=0x0 (all function bits compared)",
           "unusable: reserved bits set: 12, 84", "unusable: SVT is reserved",
           "[0x3] posted: FPD=0x0 IM=0x1 (posted) V=0x51 URG=0x1 (urgent) SVT=0x1 (source must be SID) SID=0xf8 (00:1f.0) "
           "SQ=0x0 (all function bits compared)",
           "posted descriptor 0x102040: ON=0x1 (notification outstanding) SN=0x0 NV=0xf2 NDST=0x700; vectors pending: 5, 129",
           "posted descriptor 0x1280000000: outside of the image 0x100000..0x11ffff",
           "[0x5] remapped: FPD=0x0 IM=0x0 (remapped) V=0x30 DLM=0x0 (fixed) TM=0x0 (edge) XAPIC_DST=0x0 DM=0x0 (physical) RH=0x0 "
           "SVT=0x0 (any source) SID=0x0 (00:00.0) SQ=0x0 (all function bits compared)",
           "unusable: not present",
           "posted descriptor 0x102080: ON=0x0 SN=0x0 NV=0x0 NDST=0x0; vectors pending: none",
           "unusable: reserved bits set: 258, 320",
           "[0x7..0xf] not present, zero")
    t.says([*arguments, hex(BASE | 1 << 11)],
           "interrupt remapping table at 0x100000: 2 entries, 32-bit destinations (EIME=1)",
           "[0x1] remapped: FPD=0x1 (fault processing disabled) IM=0x0 (remapped) V=0x41 DLM=0x1 (lowest priority) TM=0x1 (level) "
           "DST=0x12345678 DM=0x1 (logical) RH=0x1 (redirection hint) SVT=0x2 (bus must be in SID[15:8]..SID[7:0]) SID=0x508 (05:01.0) "
           "SQ=0x0 (all function bits compared)", without=["[0x2]"])
    t.says([*arguments, hex(BASE | 15)], "[0x2000..0xffff] outside of the image 0x100000..0x11ffff")
    t.says([*arguments, hex(BASE | 1 << 4)], "reserved bits of IRTA set: 4")
    t.says([*arguments, hex(BASE | 15), "--limit", "1"], "... cut after 1 lines; --limit N prints more")
    t.refuses([*arguments, "0x200000"], "--irta: 0x200000 is outside of the image")
    t.refuses(["irt", *t.memory(m)[:1], "--irta", "0"], "--base is required")


def main():
    with tempfile.TemporaryDirectory(prefix="vtdsim_decode_") as work:
        t = Test(sys.argv[1], work)
        for check in (registers, fault, tables_legacy, tables_scalable, queue, interrupts):
            check(t)
        t.refuses([], "subcommand is required")
        t.refuses(["nothing"], "")
    print(f"{t.checks} checks, {t.failures} failures")
    sys.exit(1 if t.failures else 0)


if __name__ == "__main__":
    main()
