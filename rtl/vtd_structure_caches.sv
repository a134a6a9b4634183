// SPDX-License-Identifier: MIT
/// The paging-structure caches of both stages (VT-d 6.2.4): entries of levels 2, 3 and 4 that point to a table, and,
/// for nested walks, guest pages that hold tables. Two lookups and a fill a cycle.
///
/// What is in them can be used without looking: accessed bits are set where they are used, second-stage paths can be
/// read and written, first-stage paths bring their rights along, guest pages need no dirty bit any more. What does
/// not qualify is not cached.
module vtd_structure_caches #(
  parameter integer Level2Entries = 64,
  parameter integer Level3Entries = 16,
  parameter integer Level4Entries = 8,
  parameter integer GuestEntries = 128,
  parameter integer Ways = 4,
  /// Cycles of a sweep.
  localparam integer Sets = ((GuestEntries > Level2Entries) ? GuestEntries : Level2Entries) / Ways,
  localparam integer SetW = (Sets > 1) ? $clog2(Sets) : 1
) (
  input  logic         clk_i,
  input  logic         rst_ni,
  /// Off: every lookup misses. Fills are for the surroundings to hold back.
  input  logic         enable_i,

  // ---- first stage: the table of the lowest level known ----
  input  logic         first_look_i,
  input  logic         first_nested_i,
  input  logic [15:0]  first_domain_i,
  input  logic [19:0]  first_pasid_i,
  input  logic [56:21] first_input_i,
  input  logic [2:0]   first_levels_i,
  output logic         first_hit_o,
  output logic [2:0]   first_level_o,    // of the entry to read: 1 to 3
  output logic [51:12] first_table_o,    // a guest address when nested
  output logic [2:0]   first_rights_o,   // XD clear, U/S, R/W

  // ---- second stage: the page itself if it holds a guest table, or the table of the lowest level known ----
  input  logic         second_look_i,
  input  logic [15:0]  second_domain_i,
  input  logic [56:12] second_input_i,
  input  logic [2:0]   second_levels_i,
  output logic         second_hit_o,
  output logic [2:0]   second_level_o,
  output logic [51:12] second_table_o,
  output logic         guest_hit_o,
  output logic [51:12] guest_page_o,

  // ---- fill: the entry of `fill_level_i` for `fill_input_i` ----
  input  logic         fill_first_i,
  input  logic         fill_second_i,
  input  logic         fill_guest_i,
  input  logic         fill_nested_i,
  input  logic [2:0]   fill_level_i,
  input  logic [15:0]  fill_domain_i,
  input  logic [19:0]  fill_pasid_i,
  input  logic [56:12] fill_input_i,
  input  logic [51:12] fill_table_i,
  input  logic [2:0]   fill_rights_i,

  // ---- sweep: one set of each cache in every cycle ----
  input  logic         sweep_i,
  input  logic [SetW-1:0] sweep_set_i,
  input  logic [2:0]   sweep_scope_i,
  input  logic [15:0]  sweep_domain_i,
  input  logic [19:0]  sweep_pasid_i,
  input  logic [56:21] sweep_address_i,
  input  logic [56:21] sweep_range_i,    // ones below the size of the range
  input  logic         sweep_leaf_only_i
);
  localparam integer FirstKeyW = 37;  // nested, PASID, domain

  localparam integer Set2W = (Level2Entries > Ways) ? $clog2(Level2Entries / Ways) : 1;
  localparam integer Set3W = (Level3Entries > Ways) ? $clog2(Level3Entries / Ways) : 1;
  localparam integer Set4W = (Level4Entries > Ways) ? $clog2(Level4Entries / Ways) : 1;
  localparam integer SetGW = (GuestEntries > Ways) ? $clog2(GuestEntries / Ways) : 1;

  // ---- what a sweep compares ------------------------------------------------------------------------------------
  // Page-selective within a domain: a first-stage table may lie on any page of the second stage, and a guest page may
  // be part of a larger one, so of those all go; they stand for leaves, so they go with leaf_only too.
  logic all, of_pasid, domain_page, pasid_page;
  assign all         = sweep_scope_i == vtd_pkg::SCOPE_ALL;
  assign domain_page = sweep_scope_i == vtd_pkg::SCOPE_DOMAIN_PAGE;
  assign pasid_page  = sweep_scope_i == vtd_pkg::SCOPE_PASID_PAGE;
  assign of_pasid    = sweep_scope_i == vtd_pkg::SCOPE_PASID || pasid_page;

  logic                 sweep_first, sweep_second, sweep_guest;
  logic [15:0]          domain_mask;
  logic [FirstKeyW-1:0] sweep_first_key, first_key_mask;
  logic [56:21]         first_mask, second_mask;
  assign sweep_first     = sweep_i && !(pasid_page && sweep_leaf_only_i);
  assign sweep_second    = sweep_i && !of_pasid && !(domain_page && sweep_leaf_only_i);
  assign sweep_guest     = sweep_i && !of_pasid;
  assign domain_mask     = all ? '0 : '1;
  assign sweep_first_key = {1'b0, sweep_pasid_i, sweep_domain_i};
  assign first_key_mask  = {1'b0, of_pasid ? 20'hFFFFF : 20'h0, domain_mask};
  assign first_mask      = pasid_page ? ~sweep_range_i : '0;
  assign second_mask     = domain_page ? ~sweep_range_i : '0;

  logic first_look, second_look;
  assign first_look  = enable_i && first_look_i;
  assign second_look = enable_i && second_look_i;

  // ---- first stage --------------------------------------------------------------------------------------------
  logic [FirstKeyW-1:0] first_key, fill_first_key;
  logic                 first_hit2, first_hit3, first_hit4;
  logic [42:0]          first_data2, first_data3, first_data4, fill_first_data;
  assign first_key       = {first_nested_i, first_pasid_i, first_domain_i};
  assign fill_first_key  = {fill_nested_i, fill_pasid_i, fill_domain_i};
  assign fill_first_data = {fill_rights_i, fill_table_i};

  vtd_structure_cache #(
    .Entries(Level2Entries), .Ways(Ways), .KeyW(FirstKeyW), .PrefixW(36), .DataW(43)
  ) u_first2 (
    .clk_i, .rst_ni, .look_i(first_look), .key_i(first_key), .prefix_i(first_input_i[56:21]), .hit_o(first_hit2), .data_o(first_data2),
    .fill_i(fill_first_i && fill_level_i == 3'd2), .fill_key_i(fill_first_key), .fill_prefix_i(fill_input_i[56:21]),
    .fill_data_i(fill_first_data),
    .sweep_i(sweep_first), .sweep_set_i(sweep_set_i[Set2W-1:0]), .sweep_key_i(sweep_first_key), .sweep_key_mask_i(first_key_mask),
    .sweep_prefix_i(sweep_address_i[56:21]), .sweep_prefix_mask_i(first_mask[56:21])
  );
  vtd_structure_cache #(
    .Entries(Level3Entries), .Ways(Ways), .KeyW(FirstKeyW), .PrefixW(27), .DataW(43)
  ) u_first3 (
    .clk_i, .rst_ni, .look_i(first_look), .key_i(first_key), .prefix_i(first_input_i[56:30]), .hit_o(first_hit3), .data_o(first_data3),
    .fill_i(fill_first_i && fill_level_i == 3'd3), .fill_key_i(fill_first_key), .fill_prefix_i(fill_input_i[56:30]),
    .fill_data_i(fill_first_data),
    .sweep_i(sweep_first), .sweep_set_i(sweep_set_i[Set3W-1:0]), .sweep_key_i(sweep_first_key), .sweep_key_mask_i(first_key_mask),
    .sweep_prefix_i(sweep_address_i[56:30]), .sweep_prefix_mask_i(first_mask[56:30])
  );
  vtd_structure_cache #(
    .Entries(Level4Entries), .Ways(Ways), .KeyW(FirstKeyW), .PrefixW(18), .DataW(43)
  ) u_first4 (
    .clk_i, .rst_ni, .look_i(first_look), .key_i(first_key), .prefix_i(first_input_i[56:39]), .hit_o(first_hit4), .data_o(first_data4),
    .fill_i(fill_first_i && fill_level_i == 3'd4), .fill_key_i(fill_first_key), .fill_prefix_i(fill_input_i[56:39]),
    .fill_data_i(fill_first_data),
    .sweep_i(sweep_first), .sweep_set_i(sweep_set_i[Set4W-1:0]), .sweep_key_i(sweep_first_key), .sweep_key_mask_i(first_key_mask),
    .sweep_prefix_i(sweep_address_i[56:39]), .sweep_prefix_mask_i(first_mask[56:39])
  );
  always_comb begin : first_lookup
    first_hit_o                     = 1'b1;
    first_level_o                   = 3'd1;
    {first_rights_o, first_table_o} = first_data2;
    if (!first_hit2) begin
      first_level_o                   = 3'd2;
      {first_rights_o, first_table_o} = first_data3;
      if (!first_hit3) begin
        first_level_o                   = 3'd3;
        {first_rights_o, first_table_o} = first_data4;
        first_hit_o                     = first_hit4;
      end
    end
    if (first_level_o >= first_levels_i) first_hit_o = 1'b0;
  end

  // ---- second stage -------------------------------------------------------------------------------------------
  logic         second_hit2, second_hit3, second_hit4;
  logic [51:12] second_data2, second_data3, second_data4;

  vtd_structure_cache #(
    .Entries(Level2Entries), .Ways(Ways), .KeyW(16), .PrefixW(36), .DataW(40)
  ) u_second2 (
    .clk_i, .rst_ni, .look_i(second_look), .key_i(second_domain_i), .prefix_i(second_input_i[56:21]), .hit_o(second_hit2),
    .data_o(second_data2),
    .fill_i(fill_second_i && fill_level_i == 3'd2), .fill_key_i(fill_domain_i), .fill_prefix_i(fill_input_i[56:21]),
    .fill_data_i(fill_table_i),
    .sweep_i(sweep_second), .sweep_set_i(sweep_set_i[Set2W-1:0]), .sweep_key_i(sweep_domain_i),
    .sweep_key_mask_i(domain_mask), .sweep_prefix_i(sweep_address_i[56:21]), .sweep_prefix_mask_i(second_mask[56:21])
  );
  vtd_structure_cache #(
    .Entries(Level3Entries), .Ways(Ways), .KeyW(16), .PrefixW(27), .DataW(40)
  ) u_second3 (
    .clk_i, .rst_ni, .look_i(second_look), .key_i(second_domain_i), .prefix_i(second_input_i[56:30]), .hit_o(second_hit3),
    .data_o(second_data3),
    .fill_i(fill_second_i && fill_level_i == 3'd3), .fill_key_i(fill_domain_i), .fill_prefix_i(fill_input_i[56:30]),
    .fill_data_i(fill_table_i),
    .sweep_i(sweep_second), .sweep_set_i(sweep_set_i[Set3W-1:0]), .sweep_key_i(sweep_domain_i),
    .sweep_key_mask_i(domain_mask), .sweep_prefix_i(sweep_address_i[56:30]), .sweep_prefix_mask_i(second_mask[56:30])
  );
  vtd_structure_cache #(
    .Entries(Level4Entries), .Ways(Ways), .KeyW(16), .PrefixW(18), .DataW(40)
  ) u_second4 (
    .clk_i, .rst_ni, .look_i(second_look), .key_i(second_domain_i), .prefix_i(second_input_i[56:39]), .hit_o(second_hit4),
    .data_o(second_data4),
    .fill_i(fill_second_i && fill_level_i == 3'd4), .fill_key_i(fill_domain_i), .fill_prefix_i(fill_input_i[56:39]),
    .fill_data_i(fill_table_i),
    .sweep_i(sweep_second), .sweep_set_i(sweep_set_i[Set4W-1:0]), .sweep_key_i(sweep_domain_i),
    .sweep_key_mask_i(domain_mask), .sweep_prefix_i(sweep_address_i[56:39]), .sweep_prefix_mask_i(second_mask[56:39])
  );
  vtd_structure_cache #(
    .Entries(GuestEntries), .Ways(Ways), .KeyW(16), .PrefixW(40), .DataW(40)
  ) u_guest (
    .clk_i, .rst_ni, .look_i(second_look), .key_i(second_domain_i), .prefix_i(second_input_i[51:12]), .hit_o(guest_hit_o),
    .data_o(guest_page_o),
    .fill_i(fill_guest_i), .fill_key_i(fill_domain_i), .fill_prefix_i(fill_input_i[51:12]), .fill_data_i(fill_table_i),
    .sweep_i(sweep_guest), .sweep_set_i(sweep_set_i[SetGW-1:0]), .sweep_key_i(sweep_domain_i),
    .sweep_key_mask_i(domain_mask), .sweep_prefix_i('0), .sweep_prefix_mask_i('0)
  );
  always_comb begin : second_lookup
    second_hit_o   = 1'b1;
    second_level_o = 3'd1;
    second_table_o = second_data2;
    if (!second_hit2) begin
      second_level_o = 3'd2;
      second_table_o = second_data3;
      if (!second_hit3) begin
        second_level_o = 3'd3;
        second_table_o = second_data4;
        second_hit_o   = second_hit4;
      end
    end
    if (second_level_o >= second_levels_i) second_hit_o = 1'b0;
  end
endmodule
