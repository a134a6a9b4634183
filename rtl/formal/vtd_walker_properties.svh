// SPDX-License-Identifier: MIT
// Properties of vtd_walker that need its registers, for the proofs of formal/run.py; included only under FORMAL.
// assert_* and claim_* are properties, inv_* the invariants that make them inductive, fair_* assumptions of the
// bounded response alone, cover_* situations that must be reachable (each asserts that it is not).

  // Registers of the arbiters: Yosys joins these wires with what they name when it flattens.
  (* hierconn *) wire [N-1:0] \u_read_turn.turn_q , \u_read_turn.held_q ;
  (* hierconn *) wire [N-1:0] \u_update_turn.turn_q , \u_update_turn.held_q ;
  (* hierconn *) wire [N-1:0] \u_response_turn.turn_q , \u_response_turn.held_q ;

  // ---- who is owed an answer (2) ------------------------------------------------------------------------------
  logic [N-1:0] f_owed_q, f_out_q;  // accepted and not answered; with a read or an update outstanding
  logic [7:0]   f_count_q, f_busy_count;
  logic         f_quiet, f_quiet_q;  // nothing comes in: formal/run.py proves that then no register changes (4)
  assign f_quiet = checking_q && quiescent_o && !req_taken && !inv_taken && !mem_rsp_valid_i && !upd_rsp_valid_i;
  always_comb begin : f_counts
    f_busy_count = '0;
    for (int i = 0; i < N; i++) begin
      f_busy_count = f_busy_count + 8'(busy[i]);
    end
  end
  always_ff @(posedge clk_i or negedge rst_ni) begin : f_ghosts
    if (!rst_ni) begin
      f_owed_q  <= '0;
      f_out_q   <= '0;
      f_count_q <= '0;
      f_quiet_q <= 1'b0;
    end else begin
      f_owed_q  <= (f_owed_q & ~(rsp_taken ? One << rsp_id_o : '0)) | req_slot;
      f_out_q   <= (f_out_q & ~mem_rsp_slot & ~upd_rsp_slot) | (mem_taken ? One << mem_req_id_o : '0) |
                   (upd_taken ? One << upd_req_id_o : '0);
      f_count_q <= f_count_q + 8'(req_taken) - 8'(rsp_taken);
      f_quiet_q <= f_quiet;
    end
  end
  always_ff @(posedge clk_i) begin : f_answers
    if (checking_q) begin
      if (rsp_valid_o) claim_response_is_owed: assert (f_owed_q[rsp_id_o]);
      if (mem_req_valid_o) claim_read_is_owed: assert (f_owed_q[mem_req_id_o] && !f_out_q[mem_req_id_o]);
      if (upd_req_valid_o) claim_update_is_owed: assert (f_owed_q[upd_req_id_o] && !f_out_q[upd_req_id_o]);
      if (req_ready_o) claim_room: assert (f_count_q < 8'(N));
      claim_outstanding: assert (f_count_q <= 8'(N));
      claim_idle_owes_nothing: assert (!idle_o || (f_owed_q == '0 && f_count_q == '0));
      claim_levels_stable: assert (!rsp_stalled_q || (rsp_level_o == f_level_q && rsp_reads_o == f_reads_q));
      if (f_quiet_q) claim_quiet: assert (quiescent_o && !mem_req_valid_o && !upd_req_valid_o && !rsp_valid_o);
      inv_owed: assert (f_owed_q == busy && f_count_q == f_busy_count);
      inv_out: assert (f_out_q == wait_q);
      inv_updating: assert ((updating_q & ~wait_q) == '0);
      inv_grants: assert ((mem_grant & ~read_q) == '0 && (upd_grant & ~update_q) == '0 && (rsp_grant & ~done_q) == '0);
      inv_ids: assert ((!mem_req_valid_o || mem_grant == One << mem_req_id_o) &&
                       (!upd_req_valid_o || upd_grant == One << upd_req_id_o) &&
                       (!rsp_valid_o || rsp_grant == One << rsp_id_o));
      inv_read_held: assert (\u_read_turn.held_q == (mem_stalled_q ? One << mem_id_q : '0));
      inv_update_held: assert (\u_update_turn.held_q == (upd_stalled_q ? One << upd_id_q : '0));
      inv_response_held: assert (\u_response_turn.held_q == (rsp_stalled_q ? One << rsp_id_q : '0));
      // A turn mask is ones from some slot on.
      inv_turns: assert ((~\u_read_turn.turn_q & (~\u_read_turn.turn_q + One)) == '0 &&
                         (~\u_update_turn.turn_q & (~\u_update_turn.turn_q + One)) == '0 &&
                         (~\u_response_turn.turn_q & (~\u_response_turn.turn_q + One)) == '0);
      inv_shown: assert (!mem_stalled_q || !(begin_q[mem_id_q] || translate_q[mem_id_q]));
      inv_waits: assert (((begin_q | translate_q) & wait_q & ~updating_q) == '0 &&
                         (begin_q & (update_q | wait_q)) == '0);
      inv_follow: assert ((followed_q & ~busy) == '0);
    end
  end
  logic [2:0]  f_level_q;
  logic [15:0] f_reads_q;
  always_ff @(posedge clk_i) begin : f_shown_before
    f_level_q <= rsp_level_o;
    f_reads_q <= rsp_reads_o;
  end

  // ---- places of walks (1) ------------------------------------------------------------------------------------
  // Levels of every walk are in range, and each that follows has one leader. One bit a slot: in order.
  logic [N-1:0] f_levels, f_hits, f_leads, f_heirs, f_kinds, f_level, f_translate, f_first_level;
  for (genvar i = 0; i < N; i++) begin : gen_f_place
    logic second, here;
    logic [N-1:0] leads;  // slots that this one follows
    for (genvar j = 0; j < N; j++) begin : gen_leads
      assign leads[j] = followed_q[j] && heir_q[j] == IdW'(i);
    end
    assign second = kind_q[i] != vtd_pkg::WALK_FIRST_STAGE;
    assign here   = busy[i] && !follow_q[i] && !begin_q[i] && !refused_q[i] && !ended_q[i];
    assign f_levels[i] = !busy[i] || refused_q[i] ||
                         ((!second || (levels_q[i] >= 3'd3 && levels_q[i] <= 3'd5)) &&
                          (!kind_q[i][1] || first_levels_q[i] == 3'd4 || first_levels_q[i] == 3'd5));
    assign f_hits[i]   = !busy[i] || (hit_level_q[i] >= 3'd1 && hit_level_q[i] <= 3'd3);
    assign f_leads[i]  = (leads & (leads - One)) == '0 && (leads != '0) == follow_q[i] && !leads[i];
    assign f_heirs[i]  = !followed_q[i] || follow_q[heir_q[i]];
    assign f_kinds[i]  = !here || (second ? kind_q[i][1] || (!first_q[i] && !for_table_q[i] && !translate_q[i])
                                          : first_q[i] && !translate_q[i]);
    assign f_translate[i] = !translate_q[i] || !here || kind_q[i] == vtd_pkg::WALK_NESTED;
    assign f_level[i]  = !here || first_q[i] || translate_q[i] || (level_q[i] >= 3'd1 && level_q[i] <= 3'd5);
    assign f_first_level[i] = !here || !(first_q[i] || for_table_q[i]) ||
                              (first_level_q[i] >= 3'd1 && first_level_q[i] <= 3'd5);
  end
  always_ff @(posedge clk_i) begin : f_places
    if (checking_q) begin
      inv_levels: assert (f_levels == '1);
      inv_hits: assert (f_hits == '1);
      inv_leads: assert (f_leads == '1);
      inv_heirs: assert (f_heirs == '1);
      inv_kinds: assert (f_kinds == '1);
      inv_translate: assert (f_translate == '1);
      inv_level: assert (f_level == '1);
      inv_first_level: assert (f_first_level == '1);
    end
  end
