# SPDX-License-Identifier: MIT
"""Reads, narrows, writes and simulates AIGER files (binary, 1.9) as Yosys writes them with -symbols -vmap."""
import re


class Aig:
    """Inputs, latches, gates by literal; bad states and constraints by name; wires by name from the map."""

    def __init__(self, path, map_path, bad_names, constraint_names):
        data = open(path, 'rb').read()
        end = data.index(b'\n')
        head = [int(x) for x in data[4:end].split()] + [0] * 4
        self.maxvar, self.inputs, latches, outputs, gates, bads, constraints = head[:7]
        assert outputs == 0, 'outputs left: they would count as bad states'
        lines = data[end + 1:].split(b'\n', latches + bads + constraints)
        self.latches = [[int(x) for x in line.split()] for line in lines[:latches]]
        bad = [int(x) for x in lines[latches:latches + bads]]
        constraint = [int(x) for x in lines[latches + bads:latches + bads + constraints]]
        self.gates, pos, rest = [], 0, lines[-1]

        def delta():
            nonlocal pos
            value = shift = 0
            while True:
                byte = rest[pos]
                pos += 1
                value |= (byte & 127) << shift
                shift += 7
                if byte < 128:
                    return value

        first = self.inputs + latches + 1
        for var in range(first, first + gates):
            a = 2 * var - delta()
            self.gates.append((a, a - delta()))
        self.first_gate = first
        self.bads = dict(zip(bad_names, bad, strict=True))
        self.constraints = dict(zip(constraint_names, constraint, strict=True))
        self.wires = {}
        for line in open(map_path):
            kind, variable, bit, name = line.rstrip('\n').split(' ', 3)
            if kind == 'wire':
                self.wires.setdefault(name, {})[int(bit)] = int(variable)

    def gate(self, a, b):
        self.gates.append((max(a, b), min(a, b)))
        return 2 * (self.first_gate + len(self.gates) - 1)

    def add_latches(self, count):
        """New latches, whose next state is still to be set. They precede the gates, which move up."""
        first = self.first_gate

        def moved(lit):
            return lit + 2 * count if lit >= 2 * first else lit

        self.gates = [(moved(a), moved(b)) for a, b in self.gates]
        self.latches = [[moved(latch[0])] + latch[1:] for latch in self.latches] + [[0] for _ in range(count)]
        for table in [self.bads, self.constraints, *self.wires.values()]:
            for key in table:
                table[key] = moved(table[key])
        self.first_gate += count
        return [2 * (first + i) for i in range(count)]

    def add_frozen(self, name, when, registers, but):
        """Bad state: a wire of these names is not what it was a cycle ago, and `when` is set."""
        bits = sorted({lit & ~1 for wire, bits in self.wires.items()
                       if re.search(registers, wire) and not re.search(but, wire) for lit in bits.values() if lit > 1})
        before = self.add_latches(len(bits))
        shift = 2 * len(before)
        changes = []
        for bit, old in zip(bits, before):
            bit += shift if bit >= before[0] else 0
            self.latches[old // 2 - self.inputs - 1][0] = bit
            same = self.gate(self.gate(bit, old ^ 1) ^ 1, self.gate(bit ^ 1, old) ^ 1)
            changes.append(same ^ 1)
        while len(changes) > 1:
            changes = [self.gate(a ^ 1, b ^ 1) ^ 1 for a, b in zip(changes[::2], changes[1::2])] + \
                      (changes[-1:] if len(changes) % 2 else [])
        self.bads[name] = self.gate(changes[0], self.wires[when][0])
        return len(bits)

    def write(self, path, bads, constraints):
        """Only these bad states and constraints; what only others need goes when abc reads it."""
        out = bytearray()
        out += b'aig %d %d %d 0 %d %d %d\n' % (self.first_gate - 1 + len(self.gates), self.inputs, len(self.latches),
                                             len(self.gates), len(bads), len(constraints))
        for latch in self.latches:
            out += b' '.join(b'%d' % x for x in latch) + b'\n'
        for name in bads:
            out += b'%d\n' % self.bads[name]
        for name in constraints:
            out += b'%d\n' % self.constraints[name]

        def delta(value):
            while value > 127:
                out.append(value & 127 | 128)
                value >>= 7
            out.append(value)

        for i, (a, b) in enumerate(self.gates):
            delta(2 * (self.first_gate + i) - a)
            delta(a - b)
        open(path, 'wb').write(out)

    def simulate(self, frames):
        """Yields the value of every variable, frame by frame, for these rows of inputs (strings of 0 and 1)."""
        state = [0] * len(self.latches)
        for row in frames:
            value = bytearray(self.first_gate + len(self.gates))
            for i in range(self.inputs):
                value[i + 1] = row[i] == '1'
            value[self.inputs + 1:self.first_gate] = bytes(state)
            var = self.first_gate
            for a, b in self.gates:
                value[var] = (value[a >> 1] ^ (a & 1)) & (value[b >> 1] ^ (b & 1))
                var += 1
            yield value
            state = [value[latch[0] >> 1] ^ (latch[0] & 1) for latch in self.latches]


def literal(value, lit):
    return value[lit >> 1] ^ (lit & 1)


def write_vcd(aig, frames, path):
    """The named wires that change or are not 0, one time step a frame. Returns the bad states of each frame."""
    names = [n for n in aig.wires if not re.search(r'[$]|\\', n)]
    code = {}
    for i, name in enumerate(names):
        text = ''
        i += 1
        while i:
            text += chr(33 + i % 94)
            i //= 94
        code[name] = text
    bad = []
    with open(path, 'w') as out:
        out.write('$timescale 1ns $end\n$scope module top $end\n')
        for name in names:
            out.write(f'$var wire {max(aig.wires[name]) + 1} {code[name]} {name.replace(" ", "")} $end\n')
        out.write('$upscope $end\n$enddefinitions $end\n')
        old = {}
        for t, value in enumerate(aig.simulate(frames)):
            out.write(f'#{t}\n')
            for name in names:
                bits = aig.wires[name]
                text = ''.join(str(literal(value, bits[b])) if b in bits else 'x' for b in range(max(bits), -1, -1))
                if old.get(name) != text:
                    old[name] = text
                    out.write(f'b{text} {code[name]}\n')
            bad.append([n for n, lit in aig.bads.items() if literal(value, lit)])
        out.write(f'#{len(frames)}\n')
    return bad
