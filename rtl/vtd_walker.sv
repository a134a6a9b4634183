// SPDX-License-Identifier: MIT
/// Second-stage page walker (VT-d 3.7): N walks side by side, one slot each, named by the requester's id.
/// Request, response and memory port move one item a cycle; memory answers in any order after any time.
///
/// A slot goes idle -> read -> wait -> (read ...) -> done -> idle. One walk of n reads takes n*(L+2)+2 edges from
/// acceptance to response, both included, where L = 0 means that memory answers at the edge after the one that took
/// the read. It does not cache, coalesce or update A/D bits.
module vtd_walker #(
  /// Walks side by side, 1 to 64.
  parameter integer N = 16,
  parameter integer IdW = (N > 1) ? $clog2(N) : 1
) (
  input  logic           clk_i,
  input  logic           rst_ni,

  /// Profile; constant while a walk is in flight.
  input  logic [5:0]     haw_i,
  input  logic           superpage_2m_i,
  input  logic           superpage_1g_i,
  input  logic           snoop_control_i,
  input  logic           device_tlb_i,
  input  logic           zero_length_read_i,

  /// Walk request. The id must not be in flight; levels is 3, 4 or 5; root is 4 KiB aligned.
  input  logic           req_valid_i,
  output logic           req_ready_o,
  input  logic [IdW-1:0] req_id_i,
  input  logic [63:0]    req_iova_i,
  input  logic [63:0]    req_root_i,
  input  logic [2:0]     req_levels_i,
  input  logic [1:0]     req_access_i,

  /// Read of one 8-byte entry; the id names the walk, which has at most one read outstanding.
  output logic           mem_req_valid_o,
  input  logic           mem_req_ready_i,
  output logic [IdW-1:0] mem_req_id_o,
  output logic [51:0]    mem_req_addr_o,
  input  logic           mem_rsp_valid_i,
  input  logic [IdW-1:0] mem_rsp_id_i,
  input  logic [63:0]    mem_rsp_data_i,
  input  logic           mem_rsp_error_i,

  /// Result; with fault 0 the leaf. level is that of the leaf, or of the entry that faulted, 0 if none was read.
  output logic           rsp_valid_o,
  input  logic           rsp_ready_i,
  output logic [IdW-1:0] rsp_id_o,
  output logic [7:0]     rsp_fault_o,
  output logic [2:0]     rsp_level_o,
  output logic [51:0]    rsp_page_o,
  output logic           rsp_readable_o,
  output logic           rsp_writable_o,
  output logic           rsp_snoop_o,
  output logic           rsp_transient_o,
  output logic [2:0]     rsp_reads_o,

  /// Nothing changes without a new request or a memory response.
  output logic           quiescent_o,
  /// No walk is in flight.
  output logic           idle_o
);
  localparam logic [1:0] StIdle = 2'd0;
  localparam logic [1:0] StRead = 2'd1;
  localparam logic [1:0] StWait = 2'd2;
  localparam logic [1:0] StDone = 2'd3;

  // One array per field: structs in arrays are dropped silently by Yosys.
  logic [1:0]  state_q    [N];
  logic [56:0] iova_q     [N];
  logic [51:0] table_q    [N];
  logic [2:0]  level_q    [N];
  logic [1:0]  access_q   [N];
  logic        readable_q [N];
  logic        writable_q [N];
  logic        snoop_q    [N];
  logic        transient_q[N];
  logic [7:0]  fault_q    [N];
  logic [2:0]  reads_q    [N];

  logic [N-1:0] reading, waiting, finished;
  for (genvar i = 0; i < N; i++) begin : gen_state
    assign reading[i]  = state_q[i] == StRead;
    assign waiting[i]  = state_q[i] == StWait;
    assign finished[i] = state_q[i] == StDone;
  end

  assign req_ready_o = (reading | waiting | finished) != '1;
  assign quiescent_o = (reading | finished) == '0;
  assign idle_o      = (reading | waiting | finished) == '0;

  // ---- memory port ------------------------------------------------------------------------------------------
  logic mem_taken;
  assign mem_taken = mem_req_valid_o && mem_req_ready_i;
  vtd_round_robin #(.N(N), .IdW(IdW)) u_memory_turn (
    .clk_i, .rst_ni, .candidate_i(reading), .take_i(mem_taken), .valid_o(mem_req_valid_o), .id_o(mem_req_id_o)
  );
  vtd_entry_address u_entry_address (
    .table_i(table_q[mem_req_id_o][51:12]), .iova_i(iova_q[mem_req_id_o][56:12]), .level_i(level_q[mem_req_id_o]),
    .address_o(mem_req_addr_o)
  );

  // ---- response port ----------------------------------------------------------------------------------------
  logic rsp_taken;
  assign rsp_taken = rsp_valid_o && rsp_ready_i;
  vtd_round_robin #(.N(N), .IdW(IdW)) u_response_turn (
    .clk_i, .rst_ni, .candidate_i(finished), .take_i(rsp_taken), .valid_o(rsp_valid_o), .id_o(rsp_id_o)
  );
  assign rsp_fault_o     = fault_q[rsp_id_o];
  assign rsp_level_o     = level_q[rsp_id_o];
  assign rsp_page_o      = table_q[rsp_id_o];
  assign rsp_readable_o  = readable_q[rsp_id_o];
  assign rsp_writable_o  = writable_q[rsp_id_o];
  assign rsp_snoop_o     = snoop_q[rsp_id_o];
  assign rsp_transient_o = transient_q[rsp_id_o];
  assign rsp_reads_o     = reads_q[rsp_id_o];

  // ---- check of a new request ---------------------------------------------------------------------------------
  logic       req_taken, req_beyond;
  logic [7:0] req_fault;
  assign req_taken = req_valid_i && req_ready_o;
  always_comb begin : request_check
    unique case (req_levels_i)
      3'd3:    req_beyond = req_iova_i[63:39] != '0;
      3'd4:    req_beyond = req_iova_i[63:48] != '0;
      default: req_beyond = req_iova_i[63:57] != '0;
    endcase
    req_fault = vtd_pkg::FR_NONE;
    if (req_beyond) begin
      req_fault = vtd_pkg::FR_ADDRESS_BEYOND_WIDTH;
    end else if ((req_root_i >> haw_i) != '0) begin
      req_fault = vtd_pkg::FR_PAGING_ENTRY_ACCESS;
    end
  end

  // ---- check of an entry that arrived --------------------------------------------------------------------------
  logic [7:0] fault;
  logic       leaf, path_r, path_w, ends;
  vtd_entry_check u_entry_check (
    .entry_i(mem_rsp_data_i), .error_i(mem_rsp_error_i), .level_i(level_q[mem_rsp_id_i]),
    .access_i(access_q[mem_rsp_id_i]), .path_r_i(readable_q[mem_rsp_id_i]), .path_w_i(writable_q[mem_rsp_id_i]),
    .haw_i, .superpage_2m_i, .superpage_1g_i, .snoop_control_i, .device_tlb_i, .zero_length_read_i,
    .fault_o(fault), .leaf_o(leaf), .path_r_o(path_r), .path_w_o(path_w)
  );
  assign ends = leaf || fault != vtd_pkg::FR_NONE;

  // A slot's state is reset; its data is written before it is read.
  always_ff @(posedge clk_i or negedge rst_ni) begin : slot_state
    if (!rst_ni) begin
      for (int i = 0; i < N; i++) begin
        state_q[i] <= StIdle;
      end
    end else begin
      if (mem_taken) state_q[mem_req_id_o] <= StWait;
      if (mem_rsp_valid_i) state_q[mem_rsp_id_i] <= ends ? StDone : StRead;
      if (rsp_taken) state_q[rsp_id_o] <= StIdle;
      if (req_taken) state_q[req_id_i] <= (req_fault == vtd_pkg::FR_NONE) ? StRead : StDone;
    end
  end

  always_ff @(posedge clk_i) begin : slot_data
    if (mem_rsp_valid_i) begin
      fault_q[mem_rsp_id_i]     <= fault;
      reads_q[mem_rsp_id_i]     <= reads_q[mem_rsp_id_i] + 3'd1;
      readable_q[mem_rsp_id_i]  <= path_r;
      writable_q[mem_rsp_id_i]  <= path_w;
      snoop_q[mem_rsp_id_i]     <= mem_rsp_data_i[vtd_pkg::SS_SNP];
      transient_q[mem_rsp_id_i] <= mem_rsp_data_i[vtd_pkg::SS_TM];
      table_q[mem_rsp_id_i]     <= {mem_rsp_data_i[vtd_pkg::SS_ADDR_HI:vtd_pkg::SS_ADDR_LO], 12'h0};
      if (!ends) level_q[mem_rsp_id_i] <= level_q[mem_rsp_id_i] - 3'd1;
    end
    if (req_taken) begin
      iova_q[req_id_i]     <= req_iova_i[56:0];
      table_q[req_id_i]    <= req_root_i[51:0];
      level_q[req_id_i]    <= (req_fault == vtd_pkg::FR_NONE) ? req_levels_i : 3'd0;
      access_q[req_id_i]   <= req_access_i;
      fault_q[req_id_i]    <= req_fault;
      reads_q[req_id_i]    <= 3'd0;
      readable_q[req_id_i] <= 1'b1;
      writable_q[req_id_i] <= 1'b1;
    end
  end

`ifndef SYNTHESIS
  // The requester's and the memory's side of the contract, and ours: a shown item stays the same until it is taken.
  logic           checking_q, mem_stalled_q, rsp_stalled_q;
  logic [IdW-1:0] mem_id_q, rsp_id_q;
  logic [51:0]    mem_addr_q, rsp_page_q;
  logic [7:0]     rsp_fault_q;
  always_ff @(posedge clk_i or negedge rst_ni) begin : stalls
    if (!rst_ni) begin
      checking_q    <= 1'b0;
      mem_stalled_q <= 1'b0;
      rsp_stalled_q <= 1'b0;
    end else begin
      checking_q    <= 1'b1;
      mem_stalled_q <= mem_req_valid_o && !mem_req_ready_i;
      rsp_stalled_q <= rsp_valid_o && !rsp_ready_i;
    end
  end
  always_ff @(posedge clk_i) begin : shown
    mem_id_q    <= mem_req_id_o;
    mem_addr_q  <= mem_req_addr_o;
    rsp_id_q    <= rsp_id_o;
    rsp_page_q  <= rsp_page_o;
    rsp_fault_q <= rsp_fault_o;
  end
  always_ff @(posedge clk_i) begin : contract
    if (checking_q) begin
      if (req_taken) assert_id_free: assert (state_q[req_id_i] == StIdle);
      if (req_taken) assert_levels: assert (req_levels_i >= 3'd3 && req_levels_i <= 3'd5);
      if (req_taken) assert_root_aligned: assert (req_root_i[11:0] == '0);
      if (mem_rsp_valid_i) assert_memory_owes: assert (state_q[mem_rsp_id_i] == StWait);
      if (mem_stalled_q) begin
        assert_read_stable: assert (mem_req_valid_o && mem_req_id_o == mem_id_q && mem_req_addr_o == mem_addr_q);
      end
      if (rsp_stalled_q) begin
        assert_response_stable: assert (rsp_valid_o && rsp_id_o == rsp_id_q && rsp_page_o == rsp_page_q &&
                                        rsp_fault_o == rsp_fault_q);
      end
      if (quiescent_o) assert_quiescent: assert (!mem_req_valid_o && !rsp_valid_o);
    end
  end
`endif
endmodule
