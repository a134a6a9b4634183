#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Proofs of the page walker with Yosys and yosys-abc; what is proved and how is in PROOFS. README.md has the results.

Each model (a harness, its parameters) is one AIGER file; each proof keeps some of its bad states and assumptions.
Exit status 0: every proof holds as stated, every cover is reached and, with --planted, every planted bug is found.
"""
import argparse
import concurrent.futures
import fnmatch
import os
import re
import subprocess
import sys
import tempfile
import time

import aiger
from proofs import MODELS, PLANTED, PROOFS

HERE = os.path.dirname(os.path.abspath(__file__))
RTL = os.path.dirname(HERE)
SOURCES = ['gen/vtd_pkg.sv', 'vtd_entry_address.sv', 'vtd_entry_check.sv', 'vtd_event_counters.sv',
           'vtd_request_check.sv', 'vtd_round_robin.sv', 'vtd_structure_cache.sv', 'vtd_structure_caches.sv',
           'vtd_walk_step.sv', 'vtd_walker.sv']
SCRIPT = '''
read_verilog -formal -sv {sources}
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
    """The AIGER model of these sources, after the replacement that `plant` names."""
    model = MODELS[name]
    copy = os.path.join(work, 'rtl')
    for source in SOURCES + ['formal/' + f for f in sorted(os.listdir(HERE)) if f.endswith(('.sv', '.svh'))]:
        text = open(os.path.join(RTL, source)).read()
        if plant and plant['file'] == source:
            if text.count(plant['old']) != 1:
                raise Failure(f'{source} has {text.count(plant["old"])} times: {plant["old"]}')
            text = text.replace(plant['old'], plant['new'])
        path = os.path.join(copy, source)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        open(path, 'w').write(text)
    top = model['top']
    instead = model.get('instead', {})
    sources = [source for source in (instead.get(s, s) for s in SOURCES) if source] + [f'formal/{top}.sv']
    script = SCRIPT.format(
        sources=' '.join(sources), top=top, work=work, keep=model['keep'],
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
    log = abc(work, f'bmc3 -F {frames + 1} -T {timeout}; write_cex -a cex.txt', timeout + 60)
    found = re.search(r'asserted in frame (\d+)', log)
    if found:
        return int(found.group(1))
    reached = re.search(r'No output asserted in (\d+) frames', log)
    if not reached or int(reached.group(1)) < frames + 1:
        raise Failure(f'bmc: no answer up to frame {frames}' + (f', {reached.group(1)} done' if reached else log[-300:]))
    return None


def induction(work, k, timeout):
    log = abc(work, f'orpos; strash; ind -F {k + 1} -T {timeout}', timeout + 60)
    return 'Networks are equivalent' in log


def explain(aig, work, directory, name):
    lines = open(os.path.join(work, 'cex.txt')).read().split('\n')[1:]  # after the initial state
    rows = [line[:aig.inputs] for line in lines if len(line) >= aig.inputs]
    path = os.path.join(directory, name + '.vcd')
    bad = aiger.write_vcd(aig, rows, path)
    return path, bad[-1] if bad else []


def prove(proof, aig, work, options, planted=False):
    """(as wanted, what happened). A planted bug must be found, by a claim, not by an invariant."""
    bads = matching(proof['claims'] + ([] if planted else proof.get('invariants', [])), aig.bads)
    aig.write(os.path.join(work, 'bad.aig'), bads, matching(proof.get('assume', ['owed_*']), aig.constraints))
    timeout = min(proof.get('timeout', options.timeout), options.timeout)
    frame = bounded(work, proof.get('bug_depth', 20) if planted else proof['depth'], timeout)
    if frame is None:
        if planted or proof['method'] == 'cover':
            return False, 'not reached'
        if proof['method'] == 'bounded':
            return True, 'holds'
        if not induction(work, proof['k'], timeout):
            raise Failure(f'not inductive, k = {proof["k"]}')
        return True, 'proved'
    if proof['method'] == 'cover':
        return True, f'reached in {frame}'
    path, which = explain(aig, work, options.vcd, proof['name'])
    which = ', '.join(n for n in which if n in bads)
    return planted, f'{"found" if planted else "FAILS"} in {frame}: {which}' + ('' if planted else f', see {path}')


def how(proof):
    return {'induction': f'induction, k = {proof.get("k")}', 'bounded': f'bmc to {proof["depth"]}',
            'cover': f'cover, to {proof["depth"]}'}[proof['method']]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--list', action='store_true', help='what there is to prove')
    parser.add_argument('--property', metavar='NAME', action='append', help='only this one (a pattern; may be repeated)')
    parser.add_argument('--quick', action='store_true', help='a subset of less than a minute')
    parser.add_argument('--planted', action='store_true', help='the planted bugs: each must be found')
    parser.add_argument('--timeout', type=int, default=600, help='seconds for each run of yosys-abc (default 600)')
    parser.add_argument('--jobs', type=int, default=os.cpu_count() or 1, help='so many models at a time')
    parser.add_argument('--vcd', default='.', metavar='DIR', help='where traces of failures go (default here)')
    options = parser.parse_args()
    options.vcd = os.path.abspath(options.vcd)

    chosen = [p for p in PROOFS if not options.property or any(fnmatch.fnmatch(p['name'], n) for n in options.property)]
    if options.quick:
        chosen = [p for p in chosen if p.get('quick')]
    if options.planted:
        runs = [(proof, plant) for plant in PLANTED for proof in chosen if proof['name'] == plant['proof']]
    else:
        runs = sorted(((proof, None) for proof in chosen), key=lambda run: list(MODELS).index(run[0]['model']))
    if not runs:
        parser.error('nothing is called that; see --list')
    if options.list:
        for proof, plant in runs:
            print(f'{proof["name"]:20} {proof["model"]:12} {plant["what"] if plant else how(proof)}')
        return 0

    # What shares a model shares its directory, so it is done in turn; models are built and proved side by side.
    groups = {}
    for number, run in enumerate(runs):
        groups.setdefault(number if options.planted else run[0]['model'], []).append(run)
    print(f'{"property":20} {"model":12} {"method":18} {"time":>7}  result')
    with tempfile.TemporaryDirectory() as base, concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        futures = [pool.submit(prove_group, group, os.path.join(base, str(key)), options)
                   for key, group in groups.items()]
        bad = sum(future.result() for future in futures)
    print(f'{len(runs) - bad} of {len(runs)} as wanted')
    return 1 if bad else 0


def prove_group(group, work, options):
    """Proofs of one model, or one planted bug; how many went wrong."""
    os.makedirs(work, exist_ok=True)
    bad, model = 0, None
    for proof, plant in group:
        start = time.time()
        try:
            if model is None:
                model = build(proof['model'], work, 900, plant)
                if not plant:
                    print(f'{"(model)":20} {proof["model"]:12} {"":18} {time.time() - start:6.1f}s  '
                          f'{len(model.latches)} registers, {len(model.gates)} gates', flush=True)
                    start = time.time()
            good, text = prove(proof, model, work, options, plant is not None)
        except Failure as failure:
            good, text = False, str(failure)
        bad += not good
        print(f'{proof["name"]:20} {proof["model"]:12} {"planted" if plant else how(proof):18} '
              f'{time.time() - start:6.1f}s  {text}{": " + plant["what"] if plant else ""}', flush=True)
    return bad


if __name__ == '__main__':
    sys.exit(main())
