# SPDX-License-Identifier: MIT
"""What run.py proves: models (a harness with parameters), proofs (claims under assumptions), and for each proof planted
bugs that it must find: (file, text, replacement)."""
OUR_OWN = r'\.f_|gen_f_|updating_q|checking_q|quiet_q|(mem|upd|rsp)_(id|addr|stalled|expected|desired|page|fault|flags)_q'
FROZEN = ('u_walker.quiet_q', r'^u_walker\..*_q(\[\d+\])?$', OUR_OWN)
FULL_CACHES = {'Level2Entries': 64, 'Level3Entries': 16, 'Level4Entries': 8, 'GuestEntries': 128, 'Ways': 4}


def walker(**parameters):
    return {'top': 'vtd_formal', 'keep': 'u_walker.', 'parameters': parameters, 'frozen': FROZEN}


MODELS = {
    'walker_2': walker(N=2),
    'walker_4': walker(N=4, Level2Entries=4, Level3Entries=2, Level4Entries=2, GuestEntries=4, Ways=2),
    # The default size, with anything for the caches: what holds of it holds for caches of every geometry.
    'walker_16': dict(walker(N=16, **FULL_CACHES), instead={'vtd_structure_caches.sv': 'formal/vtd_free_caches.sv',
                                                             'vtd_structure_cache.sv': None}),
    'second_2': walker(N=2, Kind="2'b01"),
    'first_2': walker(N=2, Kind="2'b00", KindSet="2'b10"),
    'caches': {'top': 'vtd_caches_formal', 'keep': 'u_caches.'},
    'caches_full': {'top': 'vtd_caches_formal', 'keep': 'u_caches.', 'parameters': FULL_CACHES},
}
INVARIANTS = ['inv_*', 'assert_*']


def induction(name, model, claims, invariants=(), k=2, depth=6, **more):
    return dict(name=name, model=model, claims=claims, invariants=list(invariants), k=k, depth=depth,
                method='induction', **more)


def bounded(name, model, claims, depth, **more):
    return dict(name=name, model=model, claims=claims, depth=depth, method='bounded', **more)


def cover(name, model, claim, depth=20, **more):
    return dict(name=name, model=model, claims=[claim], depth=depth, method='cover', **more)


PROOFS = [
    # Unbounded: k-induction, base case by bmc3 to `depth`.
    induction('answered_once', 'walker_2', ['claim_*owed', 'claim_idle*', 'claim_room', 'claim_outstanding'],
              INVARIANTS, quick=True),
    induction('stable', 'walker_2', ['assert_*_stable', 'claim_levels_stable'], INVARIANTS, quick=True),
    induction('quiescent', 'walker_2', ['assert_*quiescent', 'claim_quiet', 'claim_frozen'], INVARIANTS),
    induction('bounded_response', 'walker_2', ['bound_*'], INVARIANTS, assume=['owed_*', 'fair_*'], quick=True),
    induction('no_stale_fill', 'walker_2', ['fresh_*'], INVARIANTS, quick=True),
    induction('rights', 'walker_2', ['rights_*'], INVARIANTS, quick=True),
    induction('caches_drop', 'caches', ['stale_*'], depth=3, assume=['given_*'], quick=True),
    induction('caches_return', 'caches', ['value_*'], depth=3, assume=['given_*'], quick=True),
    induction('answered_once.4', 'walker_4', ['claim_*owed', 'claim_idle*', 'claim_room', 'claim_outstanding'],
              INVARIANTS, depth=3),
    induction('stable.4', 'walker_4', ['assert_*_stable', 'claim_levels_stable'], INVARIANTS, depth=3),
    induction('quiescent.4', 'walker_4', ['assert_*quiescent', 'claim_quiet', 'claim_frozen'], INVARIANTS, depth=3),
    induction('no_stale_fill.4', 'walker_4', ['fresh_*'], INVARIANTS, depth=3),
    induction('rights.4', 'walker_4', ['rights_*'], INVARIANTS, depth=3),
    induction('answered_once.16', 'walker_16', ['claim_*owed', 'claim_idle*', 'claim_room', 'claim_outstanding'],
              INVARIANTS, depth=2),
    induction('stable.16', 'walker_16', ['assert_*_stable', 'claim_levels_stable'], INVARIANTS, depth=2),
    # Bounded: from port to port with the caches in place.
    bounded('port_rights.second', 'second_2', ['port_rights'], 16, assume=['owed_*', 'marked_rights']),
    bounded('port_rights.first', 'first_2', ['port_rights'], 16, assume=['owed_*', 'marked_rights']),
    bounded('port_fresh.second', 'second_2', ['port_fresh'], 14, assume=['owed_*', 'marked_old']),
    bounded('port_fresh.first', 'first_2', ['port_fresh'], 14, assume=['owed_*', 'marked_old']),
    # Situations that are reachable under the assumptions: nothing above holds for want of them.
    cover('cover_updated', 'walker_2', 'cover_updated'),
    cover('cover_retried', 'walker_2', 'cover_retried'),
    cover('cover_killed', 'walker_2', 'cover_killed', quick=True),
    cover('cover_cached', 'walker_2', 'cover_cached'),
    cover('cover_first_cached', 'walker_2', 'cover_first_cached'),
    cover('cover_guest_cached', 'walker_2', 'cover_guest_cached'),
    cover('cover_shared', 'walker_2', 'cover_shared', quick=True),
    cover('cover_nested', 'walker_2', 'cover_nested'),
    cover('cover_denied', 'walker_2', 'cover_denied'),
    cover('cover_fault', 'walker_2', 'cover_fault'),
    cover('cover_full', 'walker_2', 'cover_full', quick=True),
    cover('cover_stalled', 'walker_2', 'cover_stalled'),
    cover('cover_invalidated', 'walker_2', 'cover_invalidated'),
    cover('cover_fair', 'walker_2', 'cover_slow', assume=['owed_*', 'fair_*']),
    cover('cover_fair_updated', 'walker_2', 'cover_updated', assume=['owed_*', 'fair_*']),
    cover('cover_marked_rights', 'second_2', 'cover_port_marked', assume=['owed_*', 'marked_rights']),
    cover('cover_marked_old', 'second_2', 'cover_port_marked', assume=['owed_*', 'marked_old']),
    cover('cover_hit', 'caches', 'cover_first_hit', assume=['given_*']),
    cover('cover_guest_hit', 'caches', 'cover_guest_hit', assume=['given_*']),
    cover('cover_uncovered_hit', 'caches', 'cover_stale_hit', assume=['given_*']),
]


def plant(proof, what, old, new, file='vtd_walker.sv'):
    return dict(proof=proof, what=what, file=file, old=old, new=new)


PLANTED = [
    plant('answered_once', 'a response stays after it was taken',
          "done_d   = (done_q & ~(rsp_taken ? rsp_grant : '0))", "done_d   = (done_q & ~(rsp_taken && !followed_q[p] ? rsp_grant : '0))"),
    plant('answered_once', 'full only when no slot is left but one too late',
          "assign req_ready_o = busy != '1 && !drain_i;", "assign req_ready_o = !drain_i;"),
    plant('stable', 'an invalidation takes back a read that is shown',
          "& ~refused_d & ~stalled & (read_d | update_d | done_d)", "& ~refused_d & (read_d | update_d | done_d)"),
    plant('stable', 'the arbiter does not hold its choice', "held_q <= take_i ? '0 : grant_o;", "held_q <= '0;",
          'vtd_round_robin.sv'),
    plant('quiescent', 'quiescent during a sweep', "== '0 && !sweep_q && !counting;", "== '0 && !counting;"),
    plant('quiescent', 'quiescent with an update to show', "assign quiescent_o = (read_q | update_q | done_q)",
          "assign quiescent_o = (read_q | done_q)"),
    plant('bounded_response', 'who follows a fault waits for ever', "(follow_q & ~heir_slot)",
          "(follow_q & ~(inherits ? heir_slot : '0))"),
    plant('bounded_response', 'the arbiter prefers slot 0', "assign ahead   = candidate_i & turn_q;",
          "assign ahead   = candidate_i;", 'vtd_round_robin.sv'),
    plant('no_stale_fill', 'killed walks fill', "assign answer_counts = mem_rsp_valid_i && !answer_killed;",
          "assign answer_counts = mem_rsp_valid_i;"),
    plant('no_stale_fill', 'what waits for memory is not killed', "& ~refused_d & (wait_d | follow_d | stalled)",
          "& ~refused_d & (follow_d | stalled)"),
    plant('rights', 'W of the leaf only', "path_w_o  = path_w_i && (", "path_w_o  = (",
          'vtd_walk_step.sv'),
    plant('rights', 'U/S of the leaf only', "first_u_o = first_u_i && (", "first_u_o = (",
          'vtd_walk_step.sv'),
    plant('rights', 'second-stage entries cached without R', "&& level_cached && next_path_r && next_path_w;",
          "&& level_cached && next_path_w;"),
    plant('caches_drop', 'level 3 is not swept', ".sweep_i(sweep_second), .sweep_set_i(sweep_set_i[Set3W-1:0])",
          ".sweep_i(1'b0), .sweep_set_i(sweep_set_i[Set3W-1:0])", 'vtd_structure_caches.sv'),
    plant('caches_drop', 'a global invalidation drops one domain only',
          "{1'b0, of_pasid ? 20'hFFFFF : 20'h0, domain_mask}", "{1'b0, of_pasid ? 20'hFFFFF : 20'h0, 16'hFFFF}",
          'vtd_structure_caches.sv'),
    plant('caches_return', 'the key is not compared', "key_q[first_way + EntryW'(w)] == key_i && ", "",
          'vtd_structure_cache.sv'),
    plant('port_rights.second', 'W of the leaf only', "path_w_o  = path_w_i && (", "path_w_o  = (", 'vtd_walk_step.sv'),
    plant('port_rights.first', 'a hit brings all rights', "begins_hit ? hit_rights_q[r] : 3'b111", "3'b111"),
    plant('port_fresh.second', 'no sweep', "sweep_q     <= caches_i;", "sweep_q     <= 1'b0;"),
    plant('port_fresh.first', 'a hit survives the invalidation', "hit_d        = hit_d & ~killed_now;", "hit_d        = hit_d;"),
]
