// SPDX-License-Identifier: MIT
/// In place of the paging-structure caches, for proofs of the walker at full size: any lookup may hit or miss and answer
/// anything of the right form, so what is proved holds for caches of every geometry.
module vtd_structure_caches #(
  parameter integer Level2Entries = 64,
  parameter integer Level3Entries = 16,
  parameter integer Level4Entries = 8,
  parameter integer GuestEntries = 128,
  parameter integer Ways = 4,
  localparam integer Sets = ((GuestEntries > Level2Entries) ? GuestEntries : Level2Entries) / Ways,
  localparam integer SetW = (Sets > 1) ? $clog2(Sets) : 1
) (
  input  logic         clk_i,
  input  logic         rst_ni,
  input  logic         enable_i,
  input  logic         first_look_i,
  input  logic         first_nested_i,
  input  logic [15:0]  first_domain_i,
  input  logic [19:0]  first_pasid_i,
  input  logic [56:21] first_input_i,
  input  logic [2:0]   first_levels_i,
  output logic         first_hit_o,
  output logic [2:0]   first_level_o,
  output logic [51:12] first_table_o,
  output logic [2:0]   first_rights_o,
  input  logic         second_look_i,
  input  logic [15:0]  second_domain_i,
  input  logic [56:12] second_input_i,
  input  logic [2:0]   second_levels_i,
  output logic         second_hit_o,
  output logic [2:0]   second_level_o,
  output logic [51:12] second_table_o,
  output logic         guest_hit_o,
  output logic [51:12] guest_page_o,
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
  input  logic         sweep_i,
  input  logic [SetW-1:0] sweep_set_i,
  input  logic [2:0]   sweep_scope_i,
  input  logic [15:0]  sweep_domain_i,
  input  logic [19:0]  sweep_pasid_i,
  input  logic [56:21] sweep_address_i,
  input  logic [56:21] sweep_range_i,
  input  logic         sweep_leaf_only_i
);
  (* anyseq *) logic         first_hit, second_hit, guest_hit;
  (* anyseq *) logic [1:0]   first_level, second_level;
  (* anyseq *) logic [51:12] first_table, second_table, guest_page;
  (* anyseq *) logic [2:0]   first_rights;
  assign first_hit_o    = enable_i && first_look_i && first_hit;
  assign first_level_o  = (first_level == 2'd0) ? 3'd1 : {1'b0, first_level};
  assign first_table_o  = first_table;
  assign first_rights_o = first_rights;
  assign second_hit_o   = enable_i && second_look_i && second_hit;
  assign second_level_o = (second_level == 2'd0) ? 3'd1 : {1'b0, second_level};
  assign second_table_o = second_table;
  assign guest_hit_o    = enable_i && second_look_i && guest_hit;
  assign guest_page_o   = guest_page;
endmodule
