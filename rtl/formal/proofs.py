# SPDX-License-Identifier: MIT
"""What run.py proves."""
SMALL = {'N': 2}
MODELS = {
    'small': {'top': 'vtd_formal', 'keep': 'u_walker.', 'parameters': SMALL,
              'frozen': ('u_walker.f_quiet_q', r'_q(\[\d+\])?$', r'\.f_|updating_q|checking_q|quiet_q|(mem|upd|rsp)_(id|addr|stalled|expected|desired|page|fault|flags)_q')},
}
PROOFS = [
    {'name': 'answered_once', 'model': 'small', 'method': 'induction', 'k': 2, 'depth': 8,
     'claims': ['claim_*'], 'invariants': ['inv_*', 'assert_*']},
]
