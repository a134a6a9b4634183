// SPDX-License-Identifier: MIT
/// The walker with free surroundings, for proofs: reset in the first cycle, inputs narrowed by masks (what a mask
/// clears is constant), profile and watched id constant but free. What the surroundings owe (owed_*) is assumed by
/// vtd_walker; what more they are assumed to do is fair_* here, and only the proofs that say so use it.
module vtd_formal #(
  parameter integer N = 2,
  parameter integer Level2Entries = 2,
  parameter integer Level3Entries = 1,
  parameter integer Level4Entries = 1,
  parameter integer GuestEntries = 2,
  parameter integer Ways = 1,
  localparam integer IdW = (N > 1) ? $clog2(N) : 1,
  /// Bits that are free; the others are 0.
  parameter logic [63:0] Domain = 64'h1,
  parameter logic [63:0] Pasid = 64'h1,
  parameter logic [63:0] Iova = 64'h0000_0080_4020_1000,
  parameter logic [63:0] Root = 64'h0000_0000_0000_3000,
  parameter logic [63:0] Data = 64'hFFFF_FFFF_FFFF_FFFF,
  /// The kind is (free & Kind) | KindSet.
  parameter logic [1:0]  Kind = 2'b11,
  parameter logic [1:0]  KindSet = 2'b00,
  /// Counters of events are watched at this number only.
  parameter logic [3:0]  Event = 4'd0
) (
  input logic           clk_i,
  input logic           req_valid,
  input logic [IdW-1:0] req_id,
  input logic [1:0]     req_kind,
  input logic [15:0]    req_domain,
  input logic [19:0]    req_pasid,
  input logic [63:0]    req_iova,
  input logic [63:0]    req_root,
  input logic [2:0]     req_levels,
  input logic [63:0]    req_first_root,
  input logic [2:0]     req_first_levels,
  input logic [8:0]     req_asks,
  input logic           mem_req_ready,
  input logic           mem_rsp_valid,
  input logic [IdW-1:0] mem_rsp_id,
  input logic [63:0]    mem_rsp_data,
  input logic           mem_rsp_error,
  input logic           upd_req_ready,
  input logic           upd_rsp_valid,
  input logic [IdW-1:0] upd_rsp_id,
  input logic           upd_rsp_swapped,
  input logic           upd_rsp_error,
  input logic           rsp_ready,
  input logic           inv_valid,
  input logic [2:0]     inv_scope,
  input logic [15:0]    inv_domain,
  input logic [19:0]    inv_pasid,
  input logic [56:12]   inv_address,
  input logic [5:0]     inv_mask,
  input logic           inv_leaf_only,
  input logic           drain
);
  (* anyconst *) logic [5:0] haw, gaw;
  (* anyconst *) logic [7:0] profile;
  // Nothing comes in during reset and the cycle after it, in which the contract is not checked yet.
  logic rst_n;
  initial rst_n = 1'b0;
  always_ff @(posedge clk_i) begin : reset
    rst_n <= 1'b1;
  end
  (* hierconn *) wire \u_walker.checking_q ;
  logic live;
  assign live = \u_walker.checking_q ;

  logic           req_ready, mem_req_valid, upd_req_valid, rsp_valid, inv_ready, drained, quiescent, idle;
  logic [IdW-1:0] mem_req_id, upd_req_id, rsp_id;
  logic [51:0]    mem_req_addr, upd_req_addr, rsp_page;
  logic [63:0]    upd_req_expected, upd_req_desired;
  logic [7:0]     rsp_fault, rsp_flags;
  logic [2:0]     rsp_level;
  logic [15:0]    rsp_reads;
  logic [31:0]    event_count;
  vtd_walker #(
    .N(N), .Level2Entries(Level2Entries), .Level3Entries(Level3Entries), .Level4Entries(Level4Entries),
    .GuestEntries(GuestEntries), .Ways(Ways)
  ) u_walker (
    .clk_i, .rst_ni(rst_n), .haw_i(haw), .gaw_i(gaw), .superpage_2m_i(profile[0]), .superpage_1g_i(profile[1]),
    .first_stage_1g_i(profile[2]), .snoop_control_i(profile[3]), .device_tlb_i(profile[4]),
    .zero_length_read_i(profile[5]), .caches_i(profile[6]), .sharing_i(profile[7]),
    .req_valid_i(req_valid && live), .req_ready_o(req_ready), .req_id_i(req_id), .req_kind_i((req_kind & Kind) | KindSet),
    .req_domain_i(req_domain & Domain[15:0]), .req_pasid_i(req_pasid & Pasid[19:0]), .req_iova_i(req_iova & Iova),
    .req_root_i(req_root & Root), .req_levels_i(req_levels), .req_first_root_i(req_first_root & Root),
    .req_first_levels_i(req_first_levels), .req_access_i(req_asks[8:7]), .req_privileged_i(req_asks[6]),
    .req_execute_i(req_asks[5]), .req_report_rights_i(req_asks[4]), .req_write_protect_i(req_asks[3]),
    .req_accessed_dirty_i(req_asks[2]), .req_extended_accessed_i(req_asks[1]), .req_walk_snoop_i(req_asks[0]),
    .mem_req_valid_o(mem_req_valid), .mem_req_ready_i(mem_req_ready), .mem_req_id_o(mem_req_id),
    .mem_req_addr_o(mem_req_addr), .mem_rsp_valid_i(mem_rsp_valid && live), .mem_rsp_id_i(mem_rsp_id),
    .mem_rsp_data_i(mem_rsp_data & Data), .mem_rsp_error_i(mem_rsp_error),
    .upd_req_valid_o(upd_req_valid), .upd_req_ready_i(upd_req_ready), .upd_req_id_o(upd_req_id),
    .upd_req_addr_o(upd_req_addr), .upd_req_expected_o(upd_req_expected), .upd_req_desired_o(upd_req_desired),
    .upd_rsp_valid_i(upd_rsp_valid && live), .upd_rsp_id_i(upd_rsp_id), .upd_rsp_swapped_i(upd_rsp_swapped),
    .upd_rsp_error_i(upd_rsp_error),
    .rsp_valid_o(rsp_valid), .rsp_ready_i(rsp_ready), .rsp_id_o(rsp_id), .rsp_fault_o(rsp_fault),
    .rsp_level_o(rsp_level), .rsp_page_o(rsp_page), .rsp_readable_o(rsp_flags[0]), .rsp_writable_o(rsp_flags[1]),
    .rsp_user_o(rsp_flags[2]), .rsp_executable_o(rsp_flags[3]), .rsp_supervisor_writable_o(rsp_flags[4]),
    .rsp_snoop_o(rsp_flags[5]), .rsp_transient_o(rsp_flags[6]), .rsp_clean_o(rsp_flags[7]), .rsp_reads_o(rsp_reads),
    .inv_valid_i(inv_valid && live), .inv_ready_o(inv_ready), .inv_scope_i(inv_scope),
    .inv_domain_i(inv_domain & Domain[15:0]), .inv_pasid_i(inv_pasid & Pasid[19:0]),
    .inv_address_i(inv_address & Iova[56:12]), .inv_mask_i(inv_mask), .inv_leaf_only_i(inv_leaf_only),
    .drain_i(drain), .drained_o(drained), .event_i(Event), .event_count_o(event_count), .quiescent_o(quiescent),
    .idle_o(idle)
  );

  // ---- rights and age by a mark in the data, from port to port ------------------------------------------------------
  // Bit 40 of every entry's address is a mark. It costs the walker nothing, reaches the result through caches and
  // sharing, and means, in marked_rights: an entry from the root to here denies the watched right; in marked_old: one
  // was read, or its read accepted, before the watched invalidation was.
  localparam integer Mark = 40;
  (* anyconst *) logic [1:0] right;  // second stage: R, W; first stage: R/W, U/S, X
  (* anyseq *) logic watch;
  logic [N-1:0]  mark_q, old_q;      // of the address of the read that is outstanding; it was there at acceptance
  logic          first, denies, granted, accepted_q, complete_q;
  logic [2:0]    scope_q;
  logic [15:0]   inv_domain_q;
  logic [15:0]   domain_q [N];
  assign first   = KindSet[1];
  assign denies  = first ? ((right == 2'd0) ? !mem_rsp_data[vtd_pkg::FS_RW] :
                            (right == 2'd1) ? !mem_rsp_data[vtd_pkg::FS_US] : mem_rsp_data[vtd_pkg::FS_XD])
                         : (right[0] ? !mem_rsp_data[vtd_pkg::SS_W] : !mem_rsp_data[vtd_pkg::SS_R]);
  assign granted = first ? ((right == 2'd0) ? rsp_flags[1] : (right == 2'd1) ? rsp_flags[2] : rsp_flags[3])
                         : (right[0] ? rsp_flags[1] : rsp_flags[0]);
  always_ff @(posedge clk_i or negedge rst_n) begin : marks
    if (!rst_n) begin
      mark_q     <= '0;
      old_q      <= '0;
      accepted_q <= 1'b0;
      complete_q <= 1'b0;
    end else begin
      if (mem_req_valid && mem_req_ready) mark_q[mem_req_id] <= mem_req_addr[Mark];
      if (mem_req_valid && mem_req_ready) old_q[mem_req_id] <= !accepted_q;
      if (inv_valid && live && inv_ready && watch) accepted_q <= 1'b1;
      if (accepted_q && inv_ready) complete_q <= 1'b1;
    end
  end
  always_ff @(posedge clk_i) begin : what
    if (!accepted_q) begin
      scope_q      <= inv_scope;
      inv_domain_q <= inv_domain & Domain[15:0];
    end
    if (req_valid && req_ready) domain_q[req_id] <= req_domain & Domain[15:0];
  end
  always_ff @(posedge clk_i) begin : from_port_to_port
    if (live) begin
      if (mem_rsp_valid) begin
        marked_rights: assume (mem_rsp_data[Mark] == (mark_q[mem_rsp_id] || denies));
        marked_old: assume (mem_rsp_data[Mark] == (mark_q[mem_rsp_id] || old_q[mem_rsp_id]));
      end
      if (rsp_valid && rsp_fault == '0 && rsp_page[Mark]) begin
        port_rights: assert (!granted);
        port_fresh: assert (!(complete_q && (scope_q == vtd_pkg::SCOPE_ALL ||
                              (scope_q == vtd_pkg::SCOPE_DOMAIN && domain_q[rsp_id] == inv_domain_q))));
        cover_port_marked: assert (1'b0);
      end
    end
  end
endmodule
