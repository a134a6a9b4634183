// SPDX-License-Identifier: MIT
/// Verdict on one second-stage paging entry (VT-d 9.8): the combinational twin of check_entry() in
/// tlm/core/entry_rules.cpp. Order: bus error, present (R or W), reserved bits, rights along the path.
/// It does not know where the entry came from and keeps no state.
module vtd_entry_check (
  /// Entry as read, and whether the read failed.
  input  logic [63:0] entry_i,
  input  logic        error_i,
  /// Level of the entry: 1 (4K) to 5.
  input  logic [2:0]  level_i,
  input  logic [1:0]  access_i,
  /// AND of R and of W over the entries above.
  input  logic        path_r_i,
  input  logic        path_w_i,
  /// Profile: host address width in bits, super-pages, snoop control, device TLB, zero-length reads by W.
  input  logic [5:0]  haw_i,
  input  logic        superpage_2m_i,
  input  logic        superpage_1g_i,
  input  logic        snoop_control_i,
  input  logic        device_tlb_i,
  input  logic        zero_length_read_i,

  output logic [7:0]  fault_o,
  output logic        leaf_o,
  output logic        path_r_o,
  output logic        path_w_o
);
  logic present, page_size, superpage_ok, reserved, beyond_haw, low_bits, attributes;
  logic is_write, is_zero_length;
  logic allowed, write_missing;

  assign present   = entry_i[vtd_pkg::SS_R] || entry_i[vtd_pkg::SS_W];
  assign page_size = (level_i != 3'd1) && entry_i[vtd_pkg::SS_PS];
  assign leaf_o    = (level_i == 3'd1) || page_size;

  // Reserved bits.
  assign superpage_ok = (level_i == 3'd2 && superpage_2m_i) || (level_i == 3'd3 && superpage_1g_i);
  assign beyond_haw   = (entry_i[vtd_pkg::SS_ADDR_HI:0] >> haw_i) != '0;
  assign low_bits     = (level_i == 3'd2 && entry_i[20:12] != '0) || (level_i == 3'd3 && entry_i[29:12] != '0);
  always_comb begin : attribute_bits
    if (leaf_o) begin
      attributes = (entry_i[vtd_pkg::SS_SNP] && !snoop_control_i) || (entry_i[vtd_pkg::SS_TM] && !device_tlb_i);
    end else begin
      attributes = entry_i[vtd_pkg::SS_SNP] || entry_i[vtd_pkg::SS_TM];
    end
  end
  assign reserved = beyond_haw || attributes || (page_size && (!superpage_ok || low_bits));

  // Rights. A write without W is a write fault; whatever else is missing is a read fault.
  assign path_r_o       = path_r_i && entry_i[vtd_pkg::SS_R];
  assign path_w_o       = path_w_i && entry_i[vtd_pkg::SS_W];
  assign is_write       = access_i == vtd_pkg::ACCESS_WRITE || access_i == vtd_pkg::ACCESS_ATOMIC;
  assign is_zero_length = access_i == vtd_pkg::ACCESS_ZERO_LENGTH_READ;
  assign write_missing  = is_write && !path_w_o;
  always_comb begin : rights
    allowed = path_r_o;
    if (access_i == vtd_pkg::ACCESS_WRITE) begin
      allowed = path_w_o;
    end else if (is_write) begin
      allowed = path_r_o && path_w_o;
    end else if (is_zero_length && zero_length_read_i) begin
      allowed = path_r_o || path_w_o;
    end
  end

  always_comb begin : verdict
    fault_o = vtd_pkg::FR_NONE;
    if (error_i) begin
      fault_o = vtd_pkg::FR_PAGING_ENTRY_ACCESS;
    end else if (!present) begin
      fault_o = is_write ? vtd_pkg::FR_WRITE_PERMISSION : vtd_pkg::FR_READ_PERMISSION;
    end else if (reserved) begin
      fault_o = vtd_pkg::FR_PAGING_ENTRY_RESERVED;
    end else if (!allowed) begin
      fault_o = write_missing ? vtd_pkg::FR_WRITE_PERMISSION : vtd_pkg::FR_READ_PERMISSION;
    end
  end
endmodule
