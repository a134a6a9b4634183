# SPDX-License-Identifier: MIT
"""What sim/regress is made of: suites of runs, engines that play them, results in files, a summary."""
