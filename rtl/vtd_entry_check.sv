// SPDX-License-Identifier: MIT
/// Verdict on one paging entry: the combinational twin of tlm/core/entry_rules.cpp. It keeps no state and does not
/// know where the entry came from.
///
/// Second stage (VT-d 9.8): present is R or W, X is ignored. First stage (9.7): present is P, XD is never reserved.
module vtd_entry_check (
  input  logic [63:0] entry_i,
  /// 1 (4K) to 5.
  input  logic [2:0]  level_i,
  /// First-stage entry, and one whose address is a guest address, which HAW does not limit.
  input  logic        first_i,
  input  logic        nested_i,
  /// Profile: host address width in bits, super-pages of the second stage, 1G pages of the first, SNP and TM.
  input  logic [5:0]  haw_i,
  input  logic        superpage_2m_i,
  input  logic        superpage_1g_i,
  input  logic        first_stage_1g_i,
  input  logic        snoop_control_i,
  input  logic        device_tlb_i,

  output logic        present_o,
  output logic        reserved_o,
  output logic        leaf_o
);
  logic page_size, supported, beyond_haw, low_bits, attributes;

  // PS is the same bit in both stages.
  assign page_size = (level_i != 3'd1) && entry_i[vtd_pkg::SS_PS];
  assign leaf_o    = (level_i == 3'd1) || page_size;
  assign present_o = first_i ? entry_i[vtd_pkg::FS_P] : (entry_i[vtd_pkg::SS_R] || entry_i[vtd_pkg::SS_W]);

  assign supported = first_i ? (level_i == 3'd2 || (level_i == 3'd3 && first_stage_1g_i))
                             : ((level_i == 3'd2 && superpage_2m_i) || (level_i == 3'd3 && superpage_1g_i));
  assign beyond_haw = !nested_i && (entry_i[vtd_pkg::SS_ADDR_HI:0] >> haw_i) != '0;
  // Bit 12 of a first-stage super-page is PAT.
  assign low_bits = (level_i == 3'd2 && entry_i[20:13] != '0) || (level_i == 3'd3 && entry_i[29:13] != '0) ||
                    (!first_i && entry_i[12]);
  always_comb begin : attribute_bits
    attributes = 1'b0;
    if (first_i) begin
      attributes = 1'b0;
    end else if (leaf_o) begin
      attributes = (entry_i[vtd_pkg::SS_SNP] && !snoop_control_i) || (entry_i[vtd_pkg::SS_TM] && !device_tlb_i);
    end else begin
      attributes = entry_i[vtd_pkg::SS_SNP] || entry_i[vtd_pkg::SS_TM];
    end
  end
  assign reserved_o = beyond_haw || attributes || (page_size && (!supported || low_bits));
endmodule
