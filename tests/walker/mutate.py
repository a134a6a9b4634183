#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Breaks the walkers one check at a time and demands that the walker tests notice.

Each mutant is a copy of tlm/, rtl/, tests/walker/ and tests/support/ with one text replaced, either in the RTL or
in the rules in C++. Only what the change reaches is built again, with verilator and g++ and no cmake; everything
else is linked from one build of the unchanged tree. Prints `mutant -> caught by <first failing test>`.

Exit status: 0 every mutant is caught, 1 a mutant survives, 2 the tests could not be judged (the unchanged tree
fails, a text to replace is not there exactly once, a mutant does not build).
"""
import argparse
import concurrent.futures
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
from typing import NamedTuple

ROOT = pathlib.Path(__file__).resolve().parents[2]
COPIED = ["tlm", "rtl", "tests/walker", "tests/support"]
WALKS = 16
TEST_TIMEOUT = 90  # seconds; a mutant that hangs is caught

RTL_TEXT = (ROOT / "rtl/CMakeLists.txt").read_text()
RTL_SOURCES = re.findall(r"^\s+\$\{CMAKE_CURRENT_SOURCE_DIR\}/(\S+\.(?:vlt|sv))", RTL_TEXT, re.MULTILINE)
MODEL_SOURCES = ["tlm/core/entry_rules.cpp", "tlm/core/paging_walk.cpp", "tlm/core/reference_walker.cpp",
                 "tlm/core/walker.cpp", "tlm/unit/lockstep_walker.cpp", "tlm/unit/wave_file.cpp",
                 "tests/walker/walker_bench.cpp"]
RTL_USER = "tlm/unit/rtl_walker.cpp"  # knows the verilated model
VERILATED_SOURCES = ["verilated.cpp", "verilated_fst_c.cpp", "verilated_threads.cpp"]
# Executables: what cmake calls them, and their own sources.
TESTS_TEXT = (ROOT / "tests/walker/CMakeLists.txt").read_text()
TESTS = {name: sources.split() for name, sources in
         re.findall(r"vtd_test\(NAME walker_([a-z]+)_tests[^)]*?SOURCES([^)]*)\)", TESTS_TEXT)}
LIBRARIES = ["-lgtest_main", "-lgmock", "-lgtest", "-lfmt", "-lz", "-pthread"]


class Mutant(NamedTuple):
    name: str
    file: str
    edits: list  # of (old, new), each old once in the file


def of(file, side, *mutants):
    """Mutants of one file: a name, then old and new text in turn."""
    return [Mutant(f"{side}: {name}", file, list(zip(texts[::2], texts[1::2]))) for name, *texts in mutants]


MUTANTS = [
    # ---- one entry
    *of("rtl/vtd_entry_check.sv", "rtl",
        ("an entry with only W is not present", "(entry_i[vtd_pkg::SS_R] || entry_i[vtd_pkg::SS_W]);",
         "entry_i[vtd_pkg::SS_R];"),
        ("an entry with only X is present", "|| entry_i[vtd_pkg::SS_W]);",
         "|| entry_i[vtd_pkg::SS_W] || entry_i[vtd_pkg::SS_X]);"),
        ("P of the first stage is ignored", "first_i ? entry_i[vtd_pkg::FS_P] :", "first_i ? 1'b1 :"),
        ("PS counts at level 1", "(level_i != 3'd1) && entry_i[vtd_pkg::SS_PS]", "entry_i[vtd_pkg::SS_PS]"),
        ("2M pages without the capability", "(level_i == 3'd2 && superpage_2m_i)", "(level_i == 3'd2)"),
        ("1G pages without the capability", "(level_i == 3'd3 && superpage_1g_i)", "(level_i == 3'd3)"),
        ("first-stage 1G pages without the capability", "(level_i == 3'd3 && first_stage_1g_i)", "(level_i == 3'd3)"),
        ("first-stage 2M pages by the capability of the second", "first_i ? (level_i == 3'd2 ||",
         "first_i ? ((level_i == 3'd2 && superpage_2m_i) ||"),
        ("HAW off by one", ">> haw_i) != '0;", ">> haw_i) > 52'd1;"),
        ("HAW limits guest addresses", "!nested_i && (entry_i", "(entry_i"),
        ("HAW does not limit the first stage", "!nested_i && (entry_i", "!first_i && (entry_i"),
        ("bit 20 of a 2M leaf is not reserved", "entry_i[20:13] != '0", "entry_i[19:13] != '0"),
        ("bit 13 of a 2M leaf is not reserved", "entry_i[20:13] != '0", "entry_i[20:14] != '0"),
        ("bit 29 of a 1G leaf is not reserved", "entry_i[29:13] != '0", "entry_i[28:13] != '0"),
        ("bit 12 of a second-stage super-page is not reserved", "(!first_i && entry_i[12])", "1'b0"),
        ("PAT of a first-stage super-page is reserved", "(!first_i && entry_i[12])", "entry_i[12]"),
        ("SNP without SC", "(entry_i[vtd_pkg::SS_SNP] && !snoop_control_i) ||", "1'b0 ||"),
        ("TM without DT", "|| (entry_i[vtd_pkg::SS_TM] && !device_tlb_i);", ";"),
        ("SNP in a non-leaf", "attributes = entry_i[vtd_pkg::SS_SNP] || entry_i[vtd_pkg::SS_TM];",
         "attributes = entry_i[vtd_pkg::SS_TM];"),
        ("TM in a non-leaf", "attributes = entry_i[vtd_pkg::SS_SNP] || entry_i[vtd_pkg::SS_TM];",
         "attributes = entry_i[vtd_pkg::SS_SNP];"),
        ("SNP and TM are reserved in the first stage", "if (first_i) begin", "if (1'b0) begin")),
    # ---- before anything is read
    *of("rtl/vtd_request_check.sv", "rtl",
        ("width of three levels is 40", "(levels_i == 3'd3) ? 6'd39", "(levels_i == 3'd3) ? 6'd40"),
        ("width of four levels is 49", "(levels_i == 3'd4) ? 6'd48", "(levels_i == 3'd4) ? 6'd49"),
        ("width of five levels is 58", ": 6'd57;", ": 6'd58;"),
        ("MGAW does not limit the second stage", "(gaw_i < width_of_tables) ? gaw_i : width_of_tables",
         "width_of_tables"),
        ("MGAW limits legacy walks", "if (beyond_tables)", "if (beyond_second)"),
        ("a legacy root beyond HAW is read", "else if (root_beyond_haw) fault_o = vtd_pkg::FR_PAGING_ENTRY_ACCESS;",
         ""),
        ("a second-stage root beyond HAW is read",
         "if (beyond_second) fault_o = vtd_pkg::FR_SS_BEYOND_WIDTH;\n        else if (root_beyond_haw)",
         "if (beyond_second) fault_o = vtd_pkg::FR_SS_BEYOND_WIDTH;\n        else if (1'b0)"),
        ("canonical begins at bit 48", "iova_i[63:47] == '0 || iova_i[63:47] == '1",
         "iova_i[63:48] == '0 || iova_i[63:48] == '1"),
        ("canonical has no upper half", "|| iova_i[63:47] == '1", ""),
        ("canonical of five levels begins at bit 57", "iova_i[63:56] == '0 || iova_i[63:56] == '1",
         "iova_i[63:57] == '0 || iova_i[63:57] == '1"),
        ("MGAW does not limit the first stage", "else if (beyond_guest)", "else if (1'b0)"),
        ("the sign counts against MGAW", "(iova_i[47:0] >> gaw_i)", "(iova_i >> gaw_i)"),
        ("a guest root beyond the second stage", "else if (nested && first_root_beyond_second)", "else if (1'b0)"),
        ("a nested root beyond HAW is read", "else if (nested && root_beyond_haw)", "else if (1'b0)"),
        ("a first-stage root beyond HAW is read", "else if (!nested && first_root_beyond_haw)", "else if (1'b0)"),
        ("HAW limits a guest root", "else if (!nested && first_root_beyond_haw)", "else if (first_root_beyond_haw)")),
    *of("rtl/vtd_entry_address.sv", "rtl",
        ("index of level 5 off by one", "input_i[56:48]", "input_i[55:47]"),
        ("index of level 2 off by one", "input_i[29:21]", "input_i[28:20]")),
    # ---- one step
    *of("rtl/vtd_walk_step.sv", "rtl",
        ("R of the path is not accumulated", "path_r_i && (first_i ||", "(first_i ||"),
        ("W of the path is not accumulated", "path_w_i && (first_i ||", "(first_i ||"),
        ("R/W is not accumulated", "first_w_i && (!first_i ||", "(!first_i ||"),
        ("U/S is not accumulated", "first_u_i && (!first_i ||", "(!first_i ||"),
        ("XD is not accumulated", "first_x_i && (!first_i ||", "(!first_i ||"),
        ("a page takes its offset from the request, not from the guest address",
         "(first_i || !nested) ? iova_i[29:12] : guest_i[29:12]", "iova_i[29:12]"),
        ("bits below 1G come from the entry", "(entry_level >= 3'd3) ? walked[29:21]", "1'b0 ? walked[29:21]"),
        ("the larger of two pages", "(nested && first_level_i < entry_level)",
         "(nested && first_level_i > entry_level)"),
        ("WPE is ignored", "(privileged_i && !write_protect_i)", "(privileged_i)"),
        ("supervisors need R/W without WPE", "(privileged_i && !write_protect_i)", "(1'b0)"),
        ("U/S is not checked", "= privileged_i || first_u_o;", "= 1'b1;"),
        ("supervisors need U/S", "= privileged_i || first_u_o;", "= first_u_o;"),
        ("XD is not checked", "else if (execute_i && !first_x_o)", "else if (1'b0)"),
        ("W is not checked in scalable mode", "writes && !(legacy ? path_w_o : may_write);",
         "writes && legacy && !path_w_o;"),
        ("an atomic needs no R", "access_i != vtd_pkg::ACCESS_WRITE && !readable", "!writes && !readable"),
        ("zero-length reads by W without ZLR", "zero_length && zero_length_read_i", "zero_length"),
        ("zero-length reads never go by W", "zero_length && zero_length_read_i", "1'b0"),
        ("interrupt range of 2M", "mapped[51:20] == 32'h0000_0FEE", "mapped[51:21] == 31'h0000_07F7"),
        ("the interrupt range is not checked", "else if (final_entry && in_interrupt_range)", "else if (1'b0)"),
        ("lacking rights of translation requests are faults", "lacking != vtd_pkg::FR_NONE && !report_rights_i",
         "lacking != vtd_pkg::FR_NONE"),
        ("D is set by reads", "final_entry && writes && user_ok && may_write", "final_entry && user_ok && may_write"),
        ("D is set by writes that may not", "final_entry && writes && user_ok && may_write", "final_entry && writes"),
        ("A where nothing is allowed", "lacking == vtd_pkg::FR_NONE || (user_ok && (readable || may_write))", "1'b1"),
        ("no A where only a part is allowed", "lacking == vtd_pkg::FR_NONE || (user_ok && (readable || may_write))",
         "lacking == vtd_pkg::FR_NONE"),
        ("A of the first stage is not set", "(!first_word[vtd_pkg::FS_A] ||", "(1'b0 ||"),
        ("EA is not set beside A", "(extended_accessed_i && !first_word[vtd_pkg::FS_EA])", "1'b0"),
        ("EA is set without EAFE", "(extended_accessed_i && !first_word[vtd_pkg::FS_EA])",
         "!first_word[vtd_pkg::FS_EA]"),
        ("D of the first stage is not set", "(dirty && !first_word[vtd_pkg::FS_D])", "1'b0"),
        ("A of the second stage is not set", "(!entry_i[vtd_pkg::SS_A] || (dirty", "(1'b0 || (dirty"),
        ("D of the second stage is not set", "(dirty && !entry_i[vtd_pkg::SS_D])", "1'b0"),
        ("A of the second stage without SSADE", "second_lacks = use_ad &&", "second_lacks = second && !legacy &&"),
        ("no D where a table is written", "!(table_entry_i[vtd_pkg::SS_A] && table_entry_i[vtd_pkg::SS_D])",
         "!table_entry_i[vtd_pkg::SS_A]"),
        ("D of every table", "table_lacks  = first_lacks && nested", "table_lacks  = first_i && nested"),
        ("accumulated rights of none pass", "!present || (!first_i && !path_r_o && !path_w_o)", "!present"),
        ("a failed read passes in scalable mode", "if (error_i) begin", "if (1'b0) begin"),
        ("a failed read passes in legacy mode", "if (error_i) fault = vtd_pkg::FR_PAGING_ENTRY_ACCESS;\n      else",
         ""),
        ("a failed read of the top table is as any", "if (first_i) fault = top ? vtd_pkg::FR_FS_ROOT_ACCESS :",
         "if (first_i) fault = 1'b0 ? vtd_pkg::FR_FS_ROOT_ACCESS :"),
        ("reserved bits pass in legacy mode", "else if (reserved) fault =", "else if (1'b0) fault ="),
        ("reserved bits of legacy entries that are not present", "else if (!present) fault = writes",
         "else if (!present && !reserved) fault = writes"),
        ("reserved bits pass in scalable mode", "else if (present && reserved) begin", "else if (1'b0) begin"),
        ("reserved bits of entries that are not present", "else if (present && reserved) begin",
         "else if (reserved) begin"),
        ("a guest table that cannot be read", "else if (leaf && !first_i && for_table_i && !path_r_o) begin",
         "else if (1'b0) begin"),
        ("a guest page beyond the second stage", "else if (leaf && first_i && nested && beyond_second)",
         "else if (1'b0)"),
        ("a guest table beyond the second stage", "else if (!leaf && first_i && nested && beyond_second)",
         "else if (1'b0)"),
        ("level of a guest table beyond the second stage", "result_level_o = next_first_level;",
         "result_level_o = entry_level;"),
        ("first-stage updates without PWSNP", "else if (first_lacks && !walk_snoop_i)", "else if (1'b0)"),
        ("second-stage updates without PWSNP", "else if (second_lacks && !walk_snoop_i)", "else if (1'b0)"),
        ("PWSNP where nothing is updated", "else if (first_lacks && !walk_snoop_i)",
         "else if (first_i && !walk_snoop_i)"),
        ("updates in a guest table that is read-only", "else if (first_lacks && nested && !table_w_i)",
         "else if (1'b0)"),
        ("reads of a guest table that is read-only", "else if (first_lacks && nested && !table_w_i)",
         "else if (first_i && nested && !table_w_i)"),
        ("a clear D of the first stage is not told", "(kind_i[1] && !first_word[vtd_pkg::FS_D])", "1'b0"),
        ("a clear D of the second stage is not told", "(second && use_ad && !entry_i[vtd_pkg::SS_D])", "1'b0")),
    # ---- turns
    *of("rtl/vtd_round_robin.sv", "rtl",
        ("a shown choice is not held", "held_q <= take_i ? '0 : grant_o;", "held_q <= '0;"),
        ("the turn never moves", "if (take_i) turn_q <=", "if (1'b0) turn_q <=")),
    # ---- one cache
    *of("rtl/vtd_structure_cache.sv", "rtl",
        ("an entry may be there twice", "there = 1'b1; fill_way = WayW'(w);", ""),
        ("always the same way is replaced", "if (!there) turn_q[fill_set] <=", "if (1'b0) turn_q[fill_set] <="),
        ("the key does not matter", "if (valid_q[set][w] && key_q[first_way + EntryW'(w)] == key_i &&",
         "if (valid_q[set][w] &&"),
        ("the prefix does not matter", "== key_i && prefix_q[first_way + EntryW'(w)] == prefix_i)", "== key_i)"),
        ("a sweep takes every key", "((key_q[sweep_first_way + EntryW'(w)] ^ sweep_key_i) & sweep_key_mask_i) == '0",
         "1'b1"),
        ("a sweep takes every prefix",
         "((prefix_q[sweep_first_way + EntryW'(w)] ^ sweep_prefix_i) & sweep_prefix_mask_i) == '0",
         "1'b1"),
        ("a sweep takes nothing", "if (sweep_i) valid_q[sweep_set_i]", "if (1'b0) valid_q[sweep_set_i]"),
        ("a fill saves the set that is swept", "& ~((sweep_i && sweep_set_i == fill_set) ? swept : '0)", ""),
        ("a reset keeps what is there", "valid_q[s] <= '0;", "valid_q[s] <= valid_q[s];")),
    # ---- the caches
    *of("rtl/vtd_structure_caches.sv", "rtl",
        ("PASID-page invalidations of leaves drop tables", "sweep_i && !(pasid_page && sweep_leaf_only_i)", "sweep_i"),
        ("PASID invalidations drop the second stage", "sweep_i && !of_pasid && !(domain_page",
         "sweep_i && !(domain_page"),
        ("page invalidations of leaves drop tables", "&& !(domain_page && sweep_leaf_only_i);", ";"),
        ("PASID invalidations drop guest tables", "sweep_guest     = sweep_i && !of_pasid;",
         "sweep_guest     = sweep_i;"),
        ("page invalidations of leaves keep guest tables", "sweep_guest     = sweep_i && !of_pasid;",
         "sweep_guest     = sweep_i && !of_pasid && !(domain_page && sweep_leaf_only_i);"),
        ("page invalidations of leaves keep the first stage", "sweep_i && !(pasid_page && sweep_leaf_only_i)",
         "sweep_i && !sweep_leaf_only_i"),
        ("a global invalidation is of a domain", "domain_mask     = all ? '0 : '1;", "domain_mask     = '1;"),
        ("a domain's invalidation is global", "domain_mask     = all ? '0 : '1;", "domain_mask     = '0;"),
        ("a PASID's invalidation is of its domain", "of_pasid ? 20'hFFFFF : 20'h0", "20'h0"),
        ("a domain's invalidation is of a PASID", "of_pasid ? 20'hFFFFF : 20'h0", "20'hFFFFF"),
        ("nested entries are not swept", "= {1'b0, of_pasid ?", "= {1'b1, of_pasid ?"),
        ("PASID-page invalidations take all pages", "pasid_page ? ~sweep_range_i : '0", "'0"),
        ("page invalidations keep other pages of the first stage", "pasid_page ? ~sweep_range_i",
         "(pasid_page || domain_page) ? ~sweep_range_i"),
        ("PASID invalidations are of pages", "pasid_page ? ~sweep_range_i", "of_pasid ? ~sweep_range_i"),
        ("page invalidations take all pages", "domain_page ? ~sweep_range_i : '0", "'0"),
        ("a domain's invalidation is of pages", "domain_page ? ~sweep_range_i : '0", "~sweep_range_i"),
        ("nested and plain first stages are one", "= {first_nested_i, first_pasid_i, first_domain_i};",
         "= {1'b0, first_pasid_i, first_domain_i};", "= {fill_nested_i, fill_pasid_i, fill_domain_i};",
         "= {1'b0, fill_pasid_i, fill_domain_i};"),
        ("first stages of all PASIDs are one", "= {first_nested_i, first_pasid_i, first_domain_i};",
         "= {first_nested_i, 20'd0, first_domain_i};", "= {fill_nested_i, fill_pasid_i, fill_domain_i};",
         "= {fill_nested_i, 20'd0, fill_domain_i};"),
        ("first stages of all domains are one", "= {first_nested_i, first_pasid_i, first_domain_i};",
         "= {first_nested_i, first_pasid_i, 16'd0};", "= {fill_nested_i, fill_pasid_i, fill_domain_i};",
         "= {fill_nested_i, fill_pasid_i, 16'd0};"),
        ("level 3 of the second stage serves 2G", ".prefix_i(second_input_i[56:30])",
         ".prefix_i({second_input_i[56:31], 1'b0})",
         "fill_level_i == 3'd3), .fill_key_i(fill_domain_i), .fill_prefix_i(fill_input_i[56:30])",
         "fill_level_i == 3'd3), .fill_key_i(fill_domain_i), .fill_prefix_i({fill_input_i[56:31], 1'b0})"),
        ("a hit at level 3 leads to level 1", "second_level_o = 3'd2;", "second_level_o = 3'd1;"),
        ("a first-stage hit at level 4 leads to level 2", "first_level_o                   = 3'd3;",
         "first_level_o                   = 3'd2;"),
        ("the first stage is looked up during a sweep", "= enable_i && first_look_i;", "= first_look_i;"),
        ("the second stage is looked up during a sweep", "= enable_i && second_look_i;", "= second_look_i;")),
    # ---- handshakes, drain, quiescence
    *of("rtl/vtd_walker.sv", "rtl",
        ("accepts when full", "busy != '1 && !drain_i", "!drain_i"),
        ("accepts while it has to drain", "busy != '1 && !drain_i", "busy != '1"),
        ("idle while walks wait for memory", "idle_o      = busy == '0", "idle_o      = (busy & ~wait_q) == '0"),
        ("a read counts as taken although memory is not ready", "mem_req_valid_o && mem_req_ready_i",
         "mem_req_valid_o"),
        ("an update counts as taken although memory is not ready", "upd_req_valid_o && upd_req_ready_i",
         "upd_req_valid_o"),
        ("a result counts as taken although nobody is ready", "rsp_valid_o && rsp_ready_i", "rsp_valid_o"),
        ("a request counts as taken although nobody is ready", "req_valid_i && req_ready_o;",
         "req_valid_i && !drain_i;"),
        ("an invalidation is taken before the last is complete", "inv_valid_i && inv_ready_o;", "inv_valid_i;"),
        ("quiescent while a result is shown", "(read_q | update_q | done_q) == '0 && !sweep_q",
         "(read_q | update_q) == '0 && !sweep_q"),
        ("quiescent while an update is shown", "(read_q | update_q | done_q) == '0 && !sweep_q",
         "(read_q | done_q) == '0 && !sweep_q"),
        ("quiescent during a sweep", "(read_q | update_q | done_q) == '0 && !sweep_q",
         "(read_q | update_q | done_q) == '0"),
        # ---- sharing
        ("sharing cannot be switched off", "if (req_taken && sharing_i && !req_refused)",
         "if (req_taken && !req_refused)"),
        ("a refused walk follows", "if (req_taken && sharing_i && !req_refused)", "if (req_taken && sharing_i)"),
        ("all pages share", "iova_q[i][56:12] == req_iova_i[56:12] && kind_q", "kind_q"),
        ("all kinds share", "&& kind_q[i] == req_kind_i &&", "&&"),
        ("all domains share", "domain_q[i] == req_domain_i && pasid_q[i]", "pasid_q[i]"),
        ("all PASIDs share", "pasid_q[i] == req_pasid_i && asks_q", "asks_q"),
        ("all accesses share", "&& asks_q[i] == req_asks;", ";"),
        ("two follow one", "& ~kill_q & ~followed_q", "& ~kill_q"),
        ("a walk that is done is followed", "may_lead & (read_q | update_q | wait_q | follow_q)",
         "may_lead & (read_q | update_q | wait_q | follow_q | done_q)"),
        ("faults are shared", "bequeaths && fault_q[p] == vtd_pkg::FR_NONE &&", "bequeaths &&"),
        ("a result from before an invalidation is shared", "&& !kill_q[p] && !kill_q[heir];", ";"),
        # ---- use of the caches
        ("the caches cannot be switched off", "= answer_counts && caches_i &&",
         "= answer_counts &&"),
        ("the caches are looked up during a sweep", "caches_on = caches_i && !sweep_q", "caches_on = caches_i"),
        ("a cached path has all rights", "begins_hit ? hit_rights_q[r] : 3'b111", "3'b111"),
        ("the path of the second translation is that of the first", "if (begins || translates) path_q[r] <= 2'b11;",
         "if (begins) path_q[r] <= 2'b11;"),
        ("a walk that begins again believes the caches", "hit_d       = (hit_q & ~again & ~req_slot)",
         "hit_d       = (hit_q & ~req_slot)"),
        ("a covered walk that begins again believes the caches", "hit_d & ~killed_now", "hit_d"),
        ("a cached guest table is read-only", "table_w_q[r]    <= 1'b1;", "table_w_q[r]    <= 1'b0;"),
        ("a cached guest table has no D", "table_word_q[r] <= SecondA | SecondD;", "table_word_q[r] <= SecondA;"),
        ("nested tables are looked up by the request's address",
         "look_input     = read_kind[1] ? {5'd0, read_guest[51:12]} :",
         "look_input     = 1'b0 ? {5'd0, read_guest[51:12]} :"),
        ("pages are taken from the guest cache", "guest_found    = looks && read_for_table && guest_hit",
         "guest_found    = looks && guest_hit", "if (read_for_table && guest_hit) begin", "if (guest_hit) begin"),
        ("an entry that is about to be updated is kept", "step_fault == vtd_pkg::FR_NONE && !updates",
         "step_fault == vtd_pkg::FR_NONE"),
        ("an entry that faults is kept", "caches_i && step_fault == vtd_pkg::FR_NONE && !updates",
         "caches_i && !updates"),
        ("a covered walk fills", "cacheable    = answer_counts &&", "cacheable    = mem_rsp_valid_i &&"),
        ("leaves of the first stage are kept", "fill_first  = cacheable && step_first && !step_leaf",
         "fill_first  = cacheable && step_first"),
        ("leaves of the second stage are kept", "fill_second = cacheable && !step_first && !step_leaf",
         "fill_second = cacheable && !step_first"),
        ("a second-stage path without R is kept", "level_cached && next_path_r && next_path_w",
         "level_cached && next_path_w"),
        ("a second-stage path without W is kept", "level_cached && next_path_r && next_path_w",
         "level_cached && next_path_r"),
        ("a guest table without W is kept", "step_for_table && next_path_r && next_path_w",
         "step_for_table && next_path_r"),
        ("a guest table without D is kept", "(!step_asks[2] || mem_rsp_data_i[vtd_pkg::SS_D])", "1'b1"),
        ("a guest table needs D without SSADE", "(!step_asks[2] || mem_rsp_data_i[vtd_pkg::SS_D])",
         "mem_rsp_data_i[vtd_pkg::SS_D]"),
        # ---- updates
        ("an entry that changed is taken as updated",
         "update_retry  = update_counts && !upd_rsp_error_i && !upd_rsp_swapped_i",
         "update_retry  = 1'b0"),
        ("a failed update is tried again", "update_failed = update_counts && upd_rsp_error_i;", "update_failed = 1'b0;",
         "update_retry  = update_counts && !upd_rsp_error_i && !upd_rsp_swapped_i",
         "update_retry  = update_counts && (upd_rsp_error_i || !upd_rsp_swapped_i)"),
        ("a failed update of the first stage is one of the second", "(todo[2:1] == 2'b01) ? vtd_pkg::FR_FS_AD_ACCESS :",
         "1'b0 ? vtd_pkg::FR_FS_AD_ACCESS :"),
        ("level of a failed update", "todo[1] ? first_word_level_q[v] : second_level_q[v]", "second_level_q[v]"),
        ("the update of the second stage sets no D", "SecondA | (dirty_q[u] ? SecondD : '0)", "SecondA"),
        ("the update of the first stage sets no D", "FirstA | (dirty_q[u] ? FirstD : '0)", "FirstA"),
        ("the update of the first stage sets no EA", "(asks_q[u][1] ? FirstEa : '0)", "'0"),
        ("the update of a table sets no D", "table_word_q[u] | SecondA | SecondD;", "table_word_q[u] | SecondA;"),
        ("the walk goes on before its last update", "= todo[2] ? {1'b0, todo[1:0]} :", "= todo[2] ? 3'b000 :"),
        # ---- invalidation: coverage
        ("a global invalidation covers a domain", "(busy[i] && (inv_scope_i == vtd_pkg::SCOPE_ALL ||", "(busy[i] && ("),
        ("a domain's invalidation covers all walks", "(domain_q[i] == inv_domain_i && (", "(("),
        ("a PASID's invalidation covers its domain", "(!inv_pasids || pasid_q[i] == inv_pasid_i)", "1'b1"),
        ("walks of other pages are not covered", "(!inv_pages || !inv_leaf_only_i ||", "(!inv_pages ||"),
        ("walks of other pages are always covered", "(!inv_pages || !inv_leaf_only_i ||", "(1'b1 ||"),
        ("first-stage walks are covered by page", "(!inv_pasids && kind_q[i][1]) ||", ""),
        ("the range is twice as large", "<< inv_mask_i);", "<< (inv_mask_i + 6'd1));"),
        ("the caches know no ranges", "inv_range_q   <= inv_range[56:21];", "inv_range_q   <= '0;"),
        # ---- invalidation: what becomes of walks
        ("a walk that is accepted at the same edge is forgotten",
         "inv_taken ? (covered | req_slot) & ~refused_d & ~stalled",
         "inv_taken ? covered & ~refused_d & ~stalled", "inv_taken ? (covered | req_slot) & ~refused_d & (wait_d",
         "inv_taken ? covered & ~refused_d & (wait_d"),
        ("walks that wait for memory are forgotten", "(wait_d | follow_d | stalled)", "(follow_d | stalled)"),
        ("walks that are shown are forgotten", "(wait_d | follow_d | stalled)", "(wait_d | follow_d)"),
        ("walks that want to read are forgotten", "(read_d | update_d | done_d) : '0", "(update_d | done_d) : '0"),
        ("walks that want to update are forgotten", "(read_d | update_d | done_d) : '0", "(read_d | done_d) : '0"),
        ("walks that want to answer are forgotten", "(read_d | update_d | done_d) : '0", "(read_d | update_d) : '0"),
        ("what is shown is taken back", "& ~refused_d & ~stalled & (read_d", "& ~refused_d & (read_d"),
        ("a refused walk begins again", "(covered | req_slot) & ~refused_d & ~stalled",
         "(covered | req_slot) & ~stalled"),
        ("a covered walk goes on where it is", "begin_d      = begin_d | killed_now;", "begin_d      = begin_d;"),
        ("a walk whose read is answered goes on", "again = (answer_killed ? mem_rsp_slot : '0)", "again = '0",
         "answer_counts = mem_rsp_valid_i && !answer_killed",
         "answer_counts = mem_rsp_valid_i"),
        ("a walk whose update is answered goes on", "update_killed = upd_rsp_valid_i && kill_q[v];",
         "update_killed = 1'b0;",
         "update_counts = upd_rsp_valid_i && !kill_q[v];", "update_counts = upd_rsp_valid_i;"),
        ("complete before the sweep is", "inv_ready_o = !sweep_q &&", "inv_ready_o ="),
        ("complete before covered walks are", "(kill_q & ~follow_q) == '0;", "1'b1;"),
        ("half a sweep", "sweep_set_q != SetW'(Sets - 1)", "sweep_set_q != SetW'(Sets / 2 - 1)"),
        ("no sweep", "sweep_q     <= caches_i;", "sweep_q     <= 1'b0;"),
        # ---- results
        ("reads are not counted", "reads_q[d] <= reads_q[d] + 16'd1;", "reads_q[d] <= 16'd1;"),
        ("SNP of a first-stage entry", "step_kind != vtd_pkg::WALK_FIRST_STAGE && mem_rsp_data_i[vtd_pkg::SS_SNP]",
         "mem_rsp_data_i[vtd_pkg::SS_SNP]"),
        # ---- events
        ("walks are counted when offered", "happens[vtd_pkg::EVENT_WALK]          = req_taken",
         "happens[vtd_pkg::EVENT_WALK]          = req_valid_i"),
        ("reads are counted when shown", "happens[vtd_pkg::EVENT_READ]          = mem_taken",
         "happens[vtd_pkg::EVENT_READ]          = mem_req_valid_o"),
        ("updates are counted when they fail", "&& upd_rsp_swapped_i && !upd_rsp_error_i;", ";"),
        ("retries are not counted", "happens[vtd_pkg::EVENT_RETRY]         = update_retry",
         "happens[vtd_pkg::EVENT_RETRY]         = 1'b0"),
        ("faults that follow are counted as shared", "happens[vtd_pkg::EVENT_SHARED]        = inherits",
         "happens[vtd_pkg::EVENT_SHARED]        = bequeaths"),
        ("every answer is counted as a fault", "= rsp_taken && fault_q[p] != vtd_pkg::FR_NONE", "= rsp_taken"),
        ("invalidations are counted when offered", "happens[vtd_pkg::EVENT_INVALIDATION]  = inv_taken",
         "happens[vtd_pkg::EVENT_INVALIDATION]  = inv_valid_i"),
        ("first-stage hits of level 3 are counted as level 2", "req_taken && req_hit && first_level == 3'd1",
         "req_taken && req_hit"),
        ("second-stage hits are counted beside guest hits",
         "looks && !guest_found && second_hit && second_level == 3'd1",
         "looks && second_hit && second_level == 3'd1"),
        ("guest hits are not counted", "= guest_found;\n    happens", "= 1'b0;\n    happens"),
        ("fills of guest tables are not counted", "= fill_first || fill_second || fill_guest",
         "= fill_first || fill_second")),
    *of("rtl/vtd_event_counters.sv", "rtl",
        ("one kill is counted for all", "+ 32'(kills_q)", "+ 32'd1")),
    # ---- C++: the rules
    *of("tlm/core/entry_rules.cpp", "c++",
        ("an entry with only W is not present", "if (!r && !w) return", "if (!r) return"),
        ("PS counts at level 1", "const bool page_size = level > 1 && leaf;", "const bool page_size = leaf;"),
        ("2M pages without the capability", "(level == 2 && config.superpage_2m)", "(level == 2)"),
        ("HAW off by one", "std::uint64_t mask = bit_range(ss::kADDR.hi, config.host_address_width)",
         "std::uint64_t mask = bit_range(ss::kADDR.hi, config.host_address_width + 1)"),
        ("bit 20 (29) of a super-page is not reserved", "bit_range(level_shift(level) - 1, kPageShift)",
         "bit_range(level_shift(level) - 2, kPageShift)"),
        ("SNP in a non-leaf", "return mask | ss::kSNP.mask() | ss::kTM.mask();", "return mask | ss::kTM.mask();"),
        ("TM without DT", "if (!config.device_tlb) mask |= ss::kTM.mask();", ""),
        ("W is not accumulated", "path_writable && w,", "w,"),
        ("R is not accumulated", "rights_fault(access, path_readable && r,", "rights_fault(access, r,"),
        ("a zero-length read never goes by W", "zero_length_read && writable) return", "false) return"),
        ("an atomic needs no W", "if (writes(access) && !writable)", "if (access == Access::kWrite && !writable)"),
        ("WPE is ignored", "asked.privileged && !asked.write_protect ?", "asked.privileged ?"),
        ("U/S is not checked", "if (!asked.privileged && !rights.user) return", "if (false) return")),
    *of("tlm/core/paging_walk.cpp", "c++",
        ("a failed read passes", "if (error) return end_with(FaultReason::kPagingEntryAccess);",
         "static_cast<void>(error);"),
        ("width off by one", "legacy() ? width_of_levels(request_.levels) : second_width()",
         "legacy() ? width_of_levels(request_.levels) + 1 : second_width()"),
        ("an entry that changed is taken as updated", "if (!swapped) return start();", "static_cast<void>(swapped);"),
        ("reason 77 is not raised", "if (!table_leaf_.writable) {", "if (false) {"),
        ("D is set by reads", "const bool dirty = writes(request_.access) && write;", "const bool dirty = write;")),
    *of("tlm/core/reference_walker.cpp", "c++",
        ("walks that wait are forgotten", "if (shown || slot.state == State::kWait) {", "if (shown) {"),
        ("what is shown is taken back", "if (shown || slot.state == State::kWait) {",
         "if (slot.state == State::kWait) {"),
        ("accepts while it has to drain", "any(State::kIdle) && !in.drain", "any(State::kIdle)")),
    *of("tlm/core/walker.cpp", "c++",
        ("the range is twice as large", "bit(invalidation.address_mask + kPageShift)\n",
         "bit(invalidation.address_mask + kPageShift + 1)\n"),
        ("first-stage walks are covered by page", "return first_stage || in_range;", "return in_range;")),
]


class CannotJudge(Exception):
    """The run says nothing about the tests."""


def run(command, **more):
    """Runs a build step."""
    done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          check=False, **more)
    if done.returncode != 0:
        raise CannotJudge(f"{' '.join(map(str, command))}\n{done.stdout}")
    return done.stdout


def copy_tree(source, to):
    for name in COPIED:
        shutil.copytree(source / name, to / name)


def change(tree, mutant):
    """Makes the mutant's edits; white space in an old text stands for any."""
    path = tree / mutant.file
    text = path.read_text()
    for old, new in mutant.edits:
        text, count = re.subn(r"\s+".join(map(re.escape, old.split())), lambda _, new=new: new, text)
        if count != 1:
            raise CannotJudge(f"{mutant.name}: {old!r} is {count} times in {mutant.file}, must be there once")
    path.write_text(text)


class Builder:
    """Builds the two test programs; keeps the objects of the unchanged tree for the mutants."""

    def __init__(self, top):
        self.top = top
        self.include = pathlib.Path(run(["verilator", "--getenv", "VERILATOR_ROOT"]).strip()) / "include"
        self.compiler = (["ccache"] if shutil.which("ccache") else []) + [os.environ.get("CXX", "g++")]
        self.shared = {}

    def compile(self, tree, source, to):
        """One object of `source`, with the headers of `tree`."""
        run([*self.compiler, "-std=c++20", "-O1", "-w", "-c", source, "-o", to, "-DVL_TIME_CONTEXT", "-DVM_TRACE=1",
             "-DVM_TRACE_FST=1", "-DVM_COVERAGE=0", "-DVM_SC=0", f"-DVTD_RTL_WALKS={WALKS}",
             "-DVTD_RTL_MODEL=Vvtd_walker", '-DVTD_RTL_HEADER="Vvtd_walker.h"',
             '-DVTD_RTL_ROOT_HEADER="Vvtd_walker___024root.h"', f"-I{tree}", f"-I{tree / 'verilated'}",
             "-isystem", self.include, "-isystem", self.include / "vltstd"], cwd=tree)
        return to

    def model(self, tree):
        """The verilated model and what knows it, as one source: its headers are most of the work. As in
        rtl/CMakeLists.txt, but without signals in waves, and warnings are what mutants are made of."""
        generated = tree / "verilated"
        settings = tree / "mutate.vlt"
        settings.write_text('`verilator_config\ntracing_off -file "*"\n')
        run(["verilator", "--cc", "--prefix", "Vvtd_walker", "--top-module", "vtd_walker", "--Mdir", generated,
             "--trace-fst", "-O3", "--assert", "--x-assign", "unique", "--x-initial", "unique", f"-GN={WALKS}",
             "-Wno-fatal", f"-I{tree / 'rtl'}", settings, *(tree / "rtl" / name for name in RTL_SOURCES)], cwd=tree)
        sources = [*sorted(generated.glob("*.cpp")), tree / RTL_USER]
        (tree / "model.cpp").write_text("".join(f'#include "{source}"\n' for source in sources))
        return self.compile(tree, tree / "model.cpp", tree / "model.o")

    def build_shared(self, pool):
        tree = self.top / "unchanged"
        copy_tree(ROOT, tree)  # once: all mutants are of the same tree, whatever is edited meanwhile
        self.shared["rtl"] = self.model(tree)
        sources = {name: tree / name for name in MODEL_SOURCES}
        sources |= {name: self.include / name for name in VERILATED_SOURCES}
        sources |= {name: tree / "tests/walker" / name for names in TESTS.values() for name in names}
        objects = {name: pool.submit(self.compile, tree, path, tree / (path.name + ".o"))
                   for name, path in sources.items()}
        self.shared |= {name: future.result() for name, future in objects.items()}
        return tree

    def link(self, tree, test, changed):
        objects = self.shared | changed
        program = tree / f"{test}_program"
        run([*self.compiler[-1:], "-o", program, *(objects[name] for name in reversed(TESTS[test])),
             *(objects[name] for name in MODEL_SOURCES), objects["rtl"], *(objects[name] for name in VERILATED_SOURCES),
             *LIBRARIES])
        return program

    def rebuild(self, tree, file):
        """The objects that a change of `file` reaches."""
        if not file.endswith(".sv"):
            return {file: self.compile(tree, tree / file, tree / "changed.o")}
        return {"rtl": self.model(tree)}


def first_failure(program, rtl_only=False):
    """The first test of `program` that fails; None if all pass. A crash or a hang is the failure of its test."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("VTDSIM_", "GTEST_"))}
    tests = ["--gtest_filter=-*/reference"] if rtl_only else []
    try:
        done = subprocess.run([program, "--gtest_fail_fast", "--gtest_color=no", *tests], stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, text=True, errors="replace", timeout=TEST_TIMEOUT,
                              env=environment, check=False)
        output, code = done.stdout, done.returncode
    except subprocess.TimeoutExpired as expired:
        output, code = (expired.stdout or b"").decode(errors="replace"), "hangs"
    if code == 0:
        # A program that ran nothing proves nothing.
        if not re.search(r"^\[  PASSED  \] [1-9]\d* tests?\.", output, re.MULTILINE):
            raise CannotJudge(f"{program} ran no tests")
        return None
    failed = re.search(r"^\[  FAILED  \] (\S+?)(,| |$)", output, re.MULTILINE)
    if failed:
        return failed.group(1)
    started = re.findall(r"^\[ RUN      \] (\S+)", output, re.MULTILINE)
    return f"{started[-1] if started else program.name} ({code if code == 'hangs' else f'exit {code}'})"


def judge(builder, number, mutant):
    """The first test that catches `mutant`, of the first program that does; None: it survives."""
    tree = builder.top / f"mutant{number}"
    copy_tree(builder.top / "unchanged", tree)
    try:
        change(tree, mutant)
        changed = builder.rebuild(tree, mutant.file)
        for test in TESTS:
            failure = first_failure(builder.link(tree, test, changed), mutant.file.endswith(".sv"))
            if failure:
                return failure
        return None
    finally:
        shutil.rmtree(tree)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--only", default="", metavar="TEXT", help="only mutants with TEXT in their names")
    parser.add_argument("--sample", type=int, nargs="?", const=0, metavar="K",
                        help="only every K-th mutant; without K, so that five are run")
    options = parser.parse_args()
    mutants = [mutant for mutant in MUTANTS if options.only in mutant.name]
    if options.sample is not None:
        mutants = mutants[::options.sample or max(1, len(mutants) // 5)]
    if not mutants:
        parser.error(f"no mutant is named like {options.only!r}")
    began = time.monotonic()
    survivors, broken = [], []
    with tempfile.TemporaryDirectory(prefix="vtd-mutants-") as top, \
            concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        builder = Builder(pathlib.Path(top))
        unchanged = builder.build_shared(pool)
        for test in TESTS:
            failure = first_failure(builder.link(unchanged, test, {}))
            if failure:
                raise CannotJudge(f"the unchanged tree fails {failure}")
        print(f"unchanged: all tests pass ({time.monotonic() - began:.0f} s)", flush=True)
        futures = [pool.submit(judge, builder, number, mutant) for number, mutant in enumerate(mutants)]
        for mutant, future in zip(mutants, futures):
            try:
                caught = future.result()
            except CannotJudge as reason:
                broken.append(mutant.name)
                print(f"{mutant.name} -> CANNOT JUDGE: {reason}", flush=True)
                continue
            if not caught:
                survivors.append(mutant.name)
            print(f"{mutant.name} -> {f'caught by {caught}' if caught else 'SURVIVES'}", flush=True)
    print(f"{len(mutants) - len(survivors) - len(broken)} of {len(mutants)} mutants caught "
          f"({time.monotonic() - began:.0f} s)")
    if survivors:
        return 1
    return 2 if broken else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except CannotJudge as reason:
        print(f"cannot judge: {reason}", file=sys.stderr)
        sys.exit(2)
