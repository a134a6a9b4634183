#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Proofs of the page walker with Yosys and yosys-abc; what is proved and how is in PROOFS. README.md has the results.

Each model (a harness, its parameters) is one AIGER file; each proof keeps some of its bad states and assumptions.
Exit status 0: every proof holds as stated, every cover is reached and, with --planted, every planted bug is found.
"""
import argparse
import fnmatch
import os
import re
import subprocess
import sys
import tempfile
import time

import aiger

HERE = os.path.dirname(os.path.abspath(__file__))
RTL = os.path.dirname(HERE)
SOURCES = ['gen/vtd_pkg.sv', 'vtd_entry_address.sv', 'vtd_entry_check.sv', 'vtd_event_counters.sv',
           'vtd_request_check.sv', 'vtd_round_robin.sv', 'vtd_structure_cache.sv', 'vtd_structure_caches.sv',
           'vtd_walk_step.sv', 'vtd_walker.sv']
from proofs import MODELS, PROOFS  # noqa: E402

SCRIPT = '''
read_verilog -formal -sv {defines} {sources}
hierarchy -check -top {top} {parameters}
proc
flatten
opt -full -nodffe -nosdff
memory -nordff
opt -full -nodffe -nosdff
async2sync
chformal -cover -remove
setundef -undriven -anyseq
delete -output
opt -full -nodffe -nosdff
dffunmap
simplemap
techmap
setattr -set keep 1 w:{keep}*_q w:{keep}*_q[* w:{keep}*_i w:{keep}*_o w:{keep}f_*
opt -fast -nodffe -nosdff
dffunmap
abc -g AND -fast
opt_clean
tee -o {work}/asserts select -list t:$assert
tee -o {work}/assumes select -list t:$assume
write_aiger -zinit -vmap {work}/model.aim {work}/model.aig
'''


class Failure(Exception):
    pass


def call(command, timeout, **options):
    try:
        return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=timeout,
                              **options).stdout
    except subprocess.TimeoutExpired as expired:
        raise Failure(f'timeout after {timeout} s') from expired


def build(name, work, timeout, plant=None):
    """The AIGER model of these sources, after the replacement that `plant` names (file, old, new)."""
    model = MODELS[name]
    copy = os.path.join(work, 'rtl')
    for source in SOURCES + ['formal/' + f for f in sorted(os.listdir(HERE)) if f.endswith(('.sv', '.svh'))]:
        text = open(os.path.join(RTL, source)).read()
        if plant and plant[0] == source:
            if text.count(plant[1]) != 1:
                raise Failure(f'{source} has {text.count(plant[1])} times: {plant[1]}')
            text = text.replace(plant[1], plant[2])
        path = os.path.join(copy, source)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        open(path, 'w').write(text)
    top = model['top']
    script = SCRIPT.format(
        sources=' '.join([s for s in SOURCES if s in model.get('sources', SOURCES)] + [f'formal/{top}.sv']), top=top,
        work=work, keep=model['keep'], defines=' '.join('-D' + d for d in model.get('defines', [])),
        parameters=' '.join(f'-chparam {k} {v}' for k, v in model.get('parameters', {}).items()))
    with open(os.path.join(work, 'model.ys'), 'w') as out:
        out.write(script)
    log = call(['yosys', '-q', '-s', os.path.join(work, 'model.ys')], timeout, cwd=copy)
    if not os.path.exists(os.path.join(work, 'model.aig')) or 'ERROR' in log:
        raise Failure('yosys: ' + log[-2000:])
    names = [[line.split('/')[-1].split('.')[-1] for line in open(os.path.join(work, kind)).read().split()]
             for kind in ('asserts', 'assumes')]
    aig = aiger.Aig(os.path.join(work, 'model.aig'), os.path.join(work, 'model.aim'), *names)
    if 'frozen' in model:
        aig.add_frozen('claim_frozen', *model['frozen'])
    return aig


def matching(patterns, names):
    chosen = []
    for pattern in patterns:
        found = fnmatch.filter(names, pattern)
        if not found:
            raise Failure(f'nothing is called {pattern}')
        chosen += [n for n in found if n not in chosen]
    return chosen


def abc(work, commands, timeout):
    return call(['yosys-abc', '-c', 'read_aiger bad.aig; fold; strash; ' + commands], timeout, cwd=work)


def bounded(work, frames, timeout):
    """None, or the frame in which a bad state is reached."""
    log = abc(work, f'scorr -F 1 -C 200; bmc3 -F {frames + 1} -T {timeout}; write_cex -a cex.txt'
              if False else f'bmc3 -F {frames + 1} -T {timeout}; write_cex -a cex.txt', timeout + 60)
    found = re.search(r'asserted in frame (\d+)', log)
    if found:
        return int(found.group(1))
    reached = re.search(r'No output asserted in (\d+) frames', log)
    if not reached or int(reached.group(1)) < frames + 1:
        raise Failure(f'bmc: no answer up to frame {frames}' + (f', {reached.group(1)} done' if reached else log[-300:]))
    return None


def induction(work, k, timeout):
    log = abc(work, f'orpos; strash; ind -F {k} -T {timeout}', timeout + 60)
    return 'Networks are equivalent' in log


def explain(aig, work, directory, name):
    lines = open(os.path.join(work, 'cex.txt')).read().split('\n')[1:]  # after the initial state
    rows = [line[:aig.inputs] for line in lines if len(line) >= aig.inputs]
    path = os.path.join(directory, name + '.vcd')
    bad = aiger.write_vcd(aig, rows, path)
    return path, bad[-1] if bad else []


def prove(proof, aig, work, options, want_bug=False):
    """(ok, what happened). With a planted bug a failure is what is wanted."""
    bads = matching(proof['claims'] + proof.get('invariants', []), aig.bads)
    if want_bug:
        bads = matching(proof['claims'], aig.bads)
    aig.write(os.path.join(work, 'bad.aig'), bads, matching(proof.get('assume', ['owed_*']), aig.constraints))
    depth = proof['depth']
    timeout = proof.get('timeout', options.timeout)
    frame = bounded(work, proof.get('bug_depth', max(depth, 20)) if want_bug else depth, timeout)
    if frame is not None:
        path, which = explain(aig, work, options.vcd, proof['name'])
        which = [n for n in which if n in bads]
        return False, f'frame {frame}: {", ".join(which)}' + ('' if want_bug or proof['method'] == 'cover' else f'; see {path}')
    if proof['method'] == 'induction' and not want_bug:
        if not induction(work, proof['k'], timeout):
            raise Failure(f'not inductive with k = {proof["k"]}')
        return True, 'proved'
    return True, f'holds to frame {depth}'
