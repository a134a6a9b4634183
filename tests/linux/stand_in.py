#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Stands in for QEMU under `vtdsim serve`: a virtual machine of a few lines that speaks the same protocol, so that the
server, recordings and replays are tested without QEMU and Linux.

  stand_in.py work [BASE]  sets up tables, queue and DMA engine, moves data, checks it all; exit status 0 if it is right.
                           BASE: where it places the unit's registers
  stand_in.py MODE N       the same set-up, then DMA and invalidations that never end and that it does not wait for. After
                           N messages it says so, and
      leave                leaves
      mute                 sends nothing more, and stays
      busy                 goes on
      garbage              sends what is no message
The rest of the command line is what QEMU would get: -device x-pci-proxy-dev,fd=N,..., -qtest unix:PATH.
"""
import array
import contextlib
import mmap
import os
import re
import socket
import struct
import sys
import threading
import time

RAM = 64 << 20
UNIT_BASE, ENGINE_BASE = 0xFEBE0000, 0xFEBD0000
SOURCE = 0x11 << 3
SYNC, CFG_WRITE, CFG_READ, BAR_WRITE, BAR_READ, IRQ, RESET = 0, 2, 3, 4, 5, 6, 7

# Registers of the unit, VT-d 11.4
CAP, ECAP, GCMD, GSTS, RTADDR, FSTS, FECTL, FEDATA, FEADDR, IQH, IQT, IQA = (
    0x08, 0x10, 0x18, 0x1C, 0x20, 0x34, 0x38, 0x3C, 0x40, 0x80, 0x88, 0x90)
TE, SRTP, QIE = 1 << 31, 1 << 30, 1 << 26
# The DMA engine, tlm/spec/dma_engine.h
CONTROL, RING_BASE, RING_SIZE, TAIL, HEAD, STATUS = 0x08, 0x10, 0x18, 0x20, 0x28, 0x30
LIVE_ADDRESS, LIVE_PERIOD, LIVE_OK, LIVE_FAILED = 0x48, 0x50, 0x58, 0x60
COPY, FILL, GENERATE, CHECK = 1, 2, 3, 4


class Wrong(Exception):
    pass


class Enough(Exception):
    """So many messages have been sent as were asked for."""


def expect(what, got, wanted):
    if got != wanted:
        raise Wrong(f"{what}: expected {wanted:#x}, got {got:#x}")


class Machine:
    def __init__(self, arguments, budget=None, unit_base=UNIT_BASE):
        self.bases = [unit_base, ENGINE_BASE]
        text = " ".join(arguments)
        self.sockets = [socket.socket(fileno=int(fd)) for fd in re.findall(r"x-pci-proxy-dev,[^ ]*fd=(\d+)", text)]
        self.budget = budget
        self.messages = []  # interrupt messages: (address, data)
        self.qtest = socket.socket(socket.AF_UNIX)
        self.qtest.connect(re.search(r"unix:(\S+?)(,|\s|$)", text).group(1))
        threading.Thread(target=self.answer_qtest, daemon=True).start()
        self.memfd = os.memfd_create("ram")
        os.ftruncate(self.memfd, RAM)
        self.ram = mmap.mmap(self.memfd, RAM)

    def answer_qtest(self):
        with contextlib.suppress(OSError):  # the server is gone
            for line in self.qtest.makefile("r"):
                words = line.split()
                if words[0] == "writel":
                    self.messages.append((int(words[1], 0), int(words[2], 0)))
                self.qtest.sendall(b"OK\n")

    def send(self, device, command, payload=b"", files=()):
        if self.budget is not None:
            self.budget -= 1
            if self.budget < 0:
                self.budget = None
                raise Enough
        data = struct.pack("<iIQ", command, 0, len(payload)) + payload
        control = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", files))] if files else []
        self.sockets[device].sendmsg([data], control)

    def ask(self, device, command, payload=b""):
        self.send(device, command, payload)
        answer = b""
        while len(answer) < 24:
            part = self.sockets[device].recv(24 - len(answer))
            if not part:
                raise EOFError
            answer += part
        kind, _, size, value = struct.unpack("<iIQQ", answer)
        expect("kind of the answer", kind, 1)
        expect("size of the answer", size, 8)
        return value

    def cfg_read(self, device, offset, size=4):
        return self.ask(device, CFG_READ, struct.pack("<IIi", offset, 0, size)) & ((1 << 8 * size) - 1)

    def cfg_write(self, device, offset, value, size=4):
        self.ask(device, CFG_WRITE, struct.pack("<IIi", offset, value, size))

    def read(self, device, offset, size=4):
        return self.ask(device, BAR_READ, struct.pack("<QQIB3x", self.bases[device] + offset, 0, size, 1)) & ((1 << 8 * size) - 1)

    def write(self, device, offset, value, size=4):
        self.ask(device, BAR_WRITE, struct.pack("<QQIB3x", self.bases[device] + offset, value, size, 1))

    def poke(self, address, *words):
        self.ram[address:address + 8 * len(words)] = struct.pack(f"<{len(words)}Q", *words)

    def peek(self, address):
        return struct.unpack("<Q", self.ram[address:address + 8])[0]

    def share(self):
        for device in range(len(self.sockets)):
            payload = struct.pack("<24Q", 0, *[0] * 7, RAM, *[0] * 7, 0, *[0] * 7)
            self.send(device, SYNC, payload, [self.memfd])

    def start(self):
        """What QEMU and its firmware do before an operating system runs."""
        self.share()
        for device, base in enumerate(self.bases):
            self.send(device, IRQ, b"", [self.memfd, self.memfd])
            self.cfg_read(device, 0x00)
            self.cfg_write(device, 0x10, 0xFFFFFFFF)
            expect("BAR size", (~self.cfg_read(device, 0x10) + 1) & 0xFFFFFFFF, 0x10000 if device == 0 else 0x1000)
            self.ask(device, RESET)
            self.cfg_write(device, 0x10, base)
            self.cfg_write(device, 0x04, 6, 2)
        expect("the unit hides", self.cfg_read(0, 0x00), 0xFFFFFFFF)

    def wait(self, what, condition):
        for _ in range(2000):
            if condition():
                return
            time.sleep(0.005)
        raise Wrong(f"time-out: {what}")


class Driver:
    """Legacy mode, one device, one domain, 4-level tables of 4K pages, all below 1 MiB of RAM's second MiB."""
    ROOT, CONTEXT, QUEUE, STATUS, TABLES, RING = 0x100000, 0x101000, 0x102000, 0x103000, 0x104000, 0x120000
    DATA = 0x200000
    IOVA_RING, IOVA = 0x7F0000000000, 0x7F0000100000
    DOMAIN = 5

    def __init__(self, machine):
        self.m = machine
        self.tail = 0
        self.waits = 0
        self.next_table = self.TABLES + 0x1000
        self.ring_tail = 0

    def command(self, bits):
        self.m.write(0, GCMD, bits)

    def enable(self):
        m = self.m
        m.poke(self.ROOT, self.CONTEXT | 1, 0)
        m.poke(self.CONTEXT + SOURCE * 16, self.TABLES | 1, self.DOMAIN << 8 | 2)
        m.write(0, IQT, 0, 8)
        m.write(0, IQA, self.QUEUE, 8)
        self.command(QIE)
        m.wait("QIES", lambda: m.read(0, GSTS) & QIE)
        m.write(0, RTADDR, self.ROOT, 8)
        self.command(QIE | SRTP)
        m.wait("RTPS", lambda: m.read(0, GSTS) & SRTP)
        self.submit(0x11, 0)  # context cache, global
        self.submit(0xD2, 0)  # IOTLB, global, draining
        m.write(0, FEDATA, 0x4021)
        m.write(0, FEADDR, 0xFEE00000)
        m.write(0, FECTL, 0)
        self.command(QIE | TE)
        m.wait("TES", lambda: m.read(0, GSTS) & TE)

    def submit(self, low, high, wait=True):
        """A descriptor and a wait behind it."""
        m = self.m
        self.waits += 1
        m.poke(self.STATUS, 0)
        m.poke(self.QUEUE + self.tail % 256 * 16, low, high)
        m.poke(self.QUEUE + (self.tail + 1) % 256 * 16, self.waits << 32 | 0x25, self.STATUS)
        self.tail += 2
        m.write(0, IQT, self.tail % 256 * 16, 8)
        if wait:
            m.wait("wait status", lambda: m.peek(self.STATUS) & 0xFFFFFFFF == self.waits)

    def entry(self, iova):
        table = self.TABLES
        for level in (4, 3, 2):
            at = table + (iova >> (12 + 9 * (level - 1)) & 511) * 8
            if not self.m.peek(at) & 3:
                self.m.poke(at, self.next_table | 3)
                self.next_table += 0x1000
            table = self.m.peek(at) & ~0xFFF
        return table + (iova >> 12 & 511) * 8

    def map(self, iova, address, rights=3):
        self.m.poke(self.entry(iova), address | rights)

    def unmap(self, iova):
        self.m.poke(self.entry(iova), 0)
        self.submit(self.DOMAIN << 16 | 0xF2, iova)  # IOTLB, page

    def engine(self):
        m = self.m
        self.map(self.IOVA_RING, self.RING)
        m.write(1, RING_BASE, self.IOVA_RING, 8)
        m.write(1, RING_SIZE, 16, 8)
        m.write(1, CONTROL, 5, 8)  # run, interrupts
        m.cfg_write(1, 0x54, 0xFEE00000)
        m.cfg_write(1, 0x5C, 0x4031, 2)
        m.cfg_write(1, 0x52, 1, 2)  # MSI on

    def start(self, operation, source=0, destination=0, length=4096, pattern=0):
        """One descriptor; its place."""
        at = self.RING + self.ring_tail * 64
        self.m.poke(at, operation | 1 << 8, source, destination, length, pattern, 0, 0, 0)
        self.ring_tail = (self.ring_tail + 1) % 16
        self.m.write(1, TAIL, self.ring_tail, 8)
        return at

    def run(self, operation, **what):
        """One descriptor from beginning to end; its error code and detail."""
        m = self.m
        before = len(m.messages)
        at = self.start(operation, **what)
        m.wait("result", lambda: m.peek(at + 48) & 1)
        m.wait("interrupt of the engine", lambda: len(m.messages) > before)
        return m.peek(at + 48) >> 8 & 0xFF, m.peek(at + 56)


def work(machine):
    machine.start()
    expect("CAP.FRO is there", machine.read(0, CAP, 8) >> 24 & 0x3FF != 0, True)
    d = Driver(machine)
    d.enable()
    d.engine()
    pages = [d.DATA + i * 0x1000 for i in range(8)]
    for i, page in enumerate(pages):
        d.map(d.IOVA + i * 0x1000, page)
    expect("fill", d.run(FILL, destination=d.IOVA, length=0x2000, pattern=0x1122334455667788)[0], 0)
    expect("what was filled", machine.peek(pages[1] + 0xFF8), 0x1122334455667788)
    for turn in range(20):
        first, second = turn % 8, (turn + 3) % 8
        expect("generate", d.run(GENERATE, destination=d.IOVA + first * 0x1000, pattern=turn)[0], 0)
        expect("copy", d.run(COPY, source=d.IOVA + first * 0x1000, destination=d.IOVA + second * 0x1000)[0], 0)
        expect("check", d.run(CHECK, source=d.IOVA + second * 0x1000, pattern=turn)[0], 0)
        if machine.ram[pages[first]:pages[first] + 4096] != machine.ram[pages[second]:pages[second] + 4096]:
            raise Wrong(f"turn {turn}: the copy differs")
    # Another page at the same place, after an invalidation.
    d.unmap(d.IOVA)
    before = machine.ram[pages[0]:pages[0] + 4096]
    expect("write to an unmapped page", d.run(FILL, destination=d.IOVA, pattern=1)[0], 2)
    expect("PPF", machine.read(0, FSTS) & 2, 2)
    machine.wait("fault event", lambda: (0xFEE00000, 0x4021) in machine.messages)
    d.map(d.IOVA, pages[0] + 0x8000)
    expect("fill of the new page", d.run(FILL, destination=d.IOVA, pattern=2)[0], 0)
    expect("new page", machine.peek(pages[0] + 0x8000), 2)
    if machine.ram[pages[0]:pages[0] + 4096] != before:
        raise Wrong("the old page has changed")
    # Read-only.
    d.unmap(d.IOVA + 0x1000)
    d.map(d.IOVA + 0x1000, pages[1], rights=1)
    expect("write to a read-only page", d.run(FILL, destination=d.IOVA + 0x1000, pattern=3)[0], 2)
    # Live.
    machine.write(1, LIVE_ADDRESS, d.IOVA + 0x2000, 8)
    machine.write(1, LIVE_PERIOD, 2000, 8)
    machine.wait("live DMA", lambda: machine.read(1, LIVE_OK, 8) >= 5)
    machine.write(1, LIVE_PERIOD, 0, 8)
    expect("live failures", machine.read(1, LIVE_FAILED, 8), 0)
    for device in range(2):
        machine.ask(device, RESET)
    expect("the unit shows itself after a reset", machine.cfg_read(0, 0x00) != 0xFFFFFFFF, True)
    machine.cfg_write(0, 0x10, machine.bases[0])
    machine.cfg_write(0, 0x04, 2, 2)
    expect("GSTS after a reset", machine.read(0, GSTS), 0)


def work_for_ever(machine):
    """Live DMA, copies and invalidations; at most three copies wait, so that the ring never overflows."""
    machine.start()
    d = Driver(machine)
    d.enable()
    d.engine()
    for i in range(8):
        d.map(d.IOVA + i * 0x1000, d.DATA + i * 0x1000)
    machine.write(1, LIVE_ADDRESS, d.IOVA + 0x2000, 8)
    machine.write(1, LIVE_PERIOD, 100, 8)
    while True:
        for _ in range(3):
            last = d.start(COPY, source=d.IOVA, destination=d.IOVA + 0x4000, length=0x4000)
            d.submit(d.DOMAIN << 16 | 0xE2, 0, wait=False)  # IOTLB, domain
        machine.read(0, IQH, 8)
        machine.wait("copy", lambda: machine.peek(last + 48) & 1)


def main():
    mode, rest = sys.argv[1], sys.argv[2:]
    if mode == "work":
        work(Machine(rest, unit_base=int(rest[0], 0) if rest[0].startswith("0x") else UNIT_BASE))
        return 0
    machine = Machine(rest, budget=int(rest[0]))
    with contextlib.suppress(EOFError, ConnectionError):  # the server is gone
        try:
            work_for_ever(machine)
        except Enough:
            print(f"{rest[0]} messages", flush=True)
        if mode == "busy":
            while True:
                machine.read(1, LIVE_OK, 8)
                machine.read(0, GSTS)
        if mode == "garbage":
            machine.send(0, 99)
        if mode != "leave":
            time.sleep(3600)
    os._exit(0)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Wrong as e:
        print(f"stand_in: {e}", file=sys.stderr)
        sys.exit(1)
