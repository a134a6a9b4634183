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
    end else begin
      f_owed_q  <= (f_owed_q & ~(rsp_taken ? One << rsp_id_o : '0)) | req_slot;
      f_out_q   <= (f_out_q & ~mem_rsp_slot & ~upd_rsp_slot) | (mem_taken ? One << mem_req_id_o : '0) |
                   (upd_taken ? One << upd_req_id_o : '0);
      f_count_q <= f_count_q + 8'(req_taken) - 8'(rsp_taken);
    end
  end
  always_ff @(posedge clk_i) begin : f_answers
    if (rst_ni) begin
      if (rsp_valid_o) claim_response_is_owed: assert (f_owed_q[rsp_id_o]);
      if (mem_req_valid_o) claim_read_is_owed: assert (f_owed_q[mem_req_id_o] && !f_out_q[mem_req_id_o]);
      if (upd_req_valid_o) claim_update_is_owed: assert (f_owed_q[upd_req_id_o] && !f_out_q[upd_req_id_o]);
      if (req_ready_o) claim_room: assert (f_count_q < 8'(N));
      claim_outstanding: assert (f_count_q <= 8'(N));
      claim_idle_owes_nothing: assert (!idle_o || (f_owed_q == '0 && f_count_q == '0));
      claim_levels_stable: assert (!rsp_stalled_q || (rsp_level_o == f_level_q && rsp_reads_o == f_reads_q));
      if (quiet_q) claim_quiet: assert (quiescent_o && !mem_req_valid_o && !upd_req_valid_o && !rsp_valid_o);
      inv_owed: assert (f_owed_q == busy && f_count_q == f_busy_count);
      inv_out: assert (f_out_q == wait_q);
      inv_one_state: assert (((read_q & update_q) | (wait_q & done_q) | ((read_q | update_q) & (wait_q | done_q)) |
                              (follow_q & (read_q | update_q | wait_q | done_q))) == '0 && (kill_q & ~busy) == '0);
      inv_checking: assert (checking_q || busy == '0);
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
      inv_refused: assert ((refused_q & busy & ~done_q) == '0 && (begin_q & translate_q & busy) == '0);
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
  logic [N-1:0] f_levels, f_hits, f_leads, f_heirs, f_kinds, f_level, f_translate, f_first_level, f_todo;
  for (genvar i = 0; i < N; i++) begin : gen_f_place
    logic second, here;
    logic [N-1:0] leads;  // slots that this one follows
    for (genvar j = 0; j < N; j++) begin : gen_leads
      assign leads[j] = followed_q[j] && heir_q[j] == IdW'(i);
    end
    assign second = kind_q[i] != vtd_pkg::WALK_FIRST_STAGE;
    assign here   = (read_q[i] || wait_q[i] || update_q[i]) && !begin_q[i] &&
                    !(ended_q[i] && (update_q[i] || updating_q[i]));
    assign f_levels[i] = !busy[i] || refused_q[i] ||
                         ((!second || (levels_q[i] >= 3'd3 && levels_q[i] <= 3'd5)) &&
                          (!kind_q[i][1] || first_levels_q[i] == 3'd4 || first_levels_q[i] == 3'd5));
    assign f_hits[i]   = !busy[i] || (hit_level_q[i] >= 3'd1 && hit_level_q[i] <= 3'd3 &&
                                      (!refused_q[i] || (fault_q[i] != '0 && !followed_q[i])));
    assign f_leads[i]  = (leads & (leads - One)) == '0 && (leads != '0) == follow_q[i] && !leads[i];
    assign f_heirs[i]  = !followed_q[i] ||
                         (follow_q[heir_q[i]] && asks_q[heir_q[i]] == asks_q[i] && kind_q[heir_q[i]] == kind_q[i] &&
                          domain_q[heir_q[i]] == domain_q[i] && pasid_q[heir_q[i]] == pasid_q[i] &&
                          iova_q[heir_q[i]][56:12] == iova_q[i][56:12]);
    assign f_kinds[i]  = !here || (second ? kind_q[i][1] || (!first_q[i] && !for_table_q[i] && !translate_q[i])
                                          : first_q[i] && !translate_q[i]);
    assign f_todo[i]   = !(update_q[i] || updating_q[i]) || todo_q[i] != '0;
    assign f_translate[i] = !translate_q[i] || !here || kind_q[i] == vtd_pkg::WALK_NESTED;
    assign f_level[i]  = !here || first_q[i] || translate_q[i] || (level_q[i] >= 3'd1 && level_q[i] <= 3'd5);
    assign f_first_level[i] = !here || !(first_q[i] || for_table_q[i]) ||
                              (first_level_q[i] >= 3'd1 && first_level_q[i] <= 3'd5);
  end
  always_ff @(posedge clk_i) begin : f_places
    if (rst_ni) begin
      inv_levels: assert (f_levels == '1);
      inv_hits: assert (f_hits == '1);
      inv_leads: assert (f_leads == '1);
      inv_heirs: assert (f_heirs == '1);
      inv_kinds: assert (f_kinds == '1);
      inv_todo: assert (f_todo == '1);
      inv_translate: assert (f_translate == '1);
      inv_level: assert (f_level == '1);
      inv_first_level: assert (f_first_level == '1);
    end
  end

  // ---- bounded response (1) -------------------------------------------------------------------------------------
  // Fair: a port is ready within Wait cycles, memory answers within Wait cycles. f_potential bounds the cycles until a
  // walk is answered; it sinks in every cycle in which no invalidation is accepted and no compare-exchange fails. A
  // walk of 5 by 5 levels makes 35 reads, each with up to three updates.
  localparam integer Wait = 1;
  localparam logic [15:0] Turns = 16'(N * (Wait + 1));
  localparam logic [15:0] Round = Turns + 16'(Wait + 1);    // through a port and memory
  localparam logic [15:0] Reads = 16'd35;
  localparam logic [15:0] Full = Reads * 16'd4 * Round + Turns;
  localparam logic [15:0] Bound = 16'(N) * (Full + Round);
  logic [3:0] f_read_wait_q, f_update_wait_q, f_response_wait_q;
  logic [N-1:0] f_read_due, f_update_due, f_late;
  always_ff @(posedge clk_i or negedge rst_ni) begin : f_waits
    if (!rst_ni) begin
      f_read_wait_q     <= '0;
      f_update_wait_q   <= '0;
      f_response_wait_q <= '0;
    end else begin
      f_read_wait_q     <= (mem_req_valid_o && !mem_req_ready_i) ? f_read_wait_q + 4'd1 : '0;
      f_update_wait_q   <= (upd_req_valid_o && !upd_req_ready_i) ? f_update_wait_q + 4'd1 : '0;
      f_response_wait_q <= (rsp_valid_o && !rsp_ready_i) ? f_response_wait_q + 4'd1 : '0;
    end
  end
  // Turns of a port until a slot has it, its own included: the turn goes on behind the choice that is held.
  function logic [15:0] f_turns(input logic [N-1:0] turn, input logic [N-1:0] held, input logic [7:0] me);
    logic [N-1:0] from;
    from    = (held != '0) ? ~(held | (held - One)) : turn;
    f_turns = (held != '0) ? 16'd2 : 16'd1;
    for (int j = 0; j < N; j++) begin
      if (from[j] && (8'(j) < me || !from[me])) f_turns = f_turns + 16'd1;
      if (!from[j] && 8'(j) < me && !from[me]) f_turns = f_turns + 16'd1;
    end
    if (held[me]) f_turns = 16'd1;
  endfunction
  logic [N-1:0] f_sinks, f_small, f_calm, f_in_time, f_together;
  for (genvar i = 0; i < N; i++) begin : gen_f_potential
    logic [15:0]  read_turns, update_turns, response_turns;
    assign read_turns     = f_turns(\u_read_turn.turn_q , \u_read_turn.held_q , 8'(i));
    assign update_turns   = f_turns(\u_update_turn.turn_q , \u_update_turn.held_q , 8'(i));
    assign response_turns = f_turns(\u_response_turn.turn_q , \u_response_turn.held_q , 8'(i));
    // Reads to come, that of the entry in work included.
    logic [15:0] reads, updates_left, rest, at_port, own_q, own, age_q;
    logic [3:0]  latency_q;
    logic        ended, followed_calm_q;
    logic [15:0] first_reads;
    assign first_reads = {12'd0, first_level_q[i], 1'b0} + {11'd0, first_level_q[i], 2'b00};  // 6 a level
    assign ended = ended_q[i] && (update_q[i] || updating_q[i]);
    always_comb begin : count_reads
      if (begin_q[i]) reads = Reads;
      else if (ended) reads = '0;
      else if (translate_q[i]) reads = 16'd5 + (for_table_q[i] ? first_reads : '0);
      else if (first_q[i]) reads = first_reads;
      else reads = {13'd0, level_q[i]} + (for_table_q[i] ? first_reads : '0);
      updates_left = {15'd0, todo_q[i][0]} + {15'd0, todo_q[i][1]} + {15'd0, todo_q[i][2]};
      // After this turn at a port and this answer.
      if (kill_q[i]) rest = Full;
      else if (update_q[i] || updating_q[i]) rest = reads * 16'd4 * Round + (updates_left - 16'd1) * Round + Turns;
      else rest = (reads - 16'd1) * 16'd4 * Round + 16'd3 * Round + Turns;
      at_port = read_turns * 16'(Wait + 1) - {12'd0, f_read_wait_q};
      if (update_q[i]) at_port = update_turns * 16'(Wait + 1) - {12'd0, f_update_wait_q};
      if (done_q[i]) own = response_turns * 16'(Wait + 1) - {12'd0, f_response_wait_q};
      else if (wait_q[i]) own = 16'(Wait + 1) - {12'd0, latency_q} + rest;
      else if (follow_q[i]) own = Full;
      else own = at_port + 16'(Wait + 1) + rest;
    end
    always_ff @(posedge clk_i or negedge rst_ni) begin : ghosts
      if (!rst_ni) begin
        latency_q <= '0;
        f_calm[i] <= 1'b0;
        age_q     <= '0;
      end else begin
        latency_q <= (wait_q[i] && !mem_rsp_slot[i] && !upd_rsp_slot[i]) ? latency_q + 4'd1 : '0;
        f_calm[i] <= busy[i] && !(rsp_taken && rsp_id_o == IdW'(i)) && !inv_taken && !update_retry;
        age_q     <= (!busy[i] || inv_taken || update_retry || (rsp_taken && rsp_id_o == IdW'(i))) ? '0 :
                     age_q + 16'd1;
      end
    end
    assign f_late[i] = wait_q[i] && latency_q == 4'(Wait) && !mem_rsp_slot[i] && !upd_rsp_slot[i];
    // With two slots, who follows follows the other one.
    logic [15:0] potential, potential_q;
    assign potential = own + (follow_q[i] ? gen_f_potential[(i + 1) % N].own : '0);
    always_ff @(posedge clk_i) begin : before
      potential_q <= potential;
    end
    assign f_sinks[i]    = !f_calm[i] || !busy[i] || potential < potential_q;
    assign f_small[i]    = !busy[i] || (own <= Full + Round && (!wait_q[i] || latency_q <= 4'(Wait)));
    assign f_in_time[i]  = !busy[i] || age_q + potential <= Bound;
    assign f_together[i] = age_q <= Bound;
  end
  always_ff @(posedge clk_i) begin : f_response
    if (rst_ni) begin
      fair_read_ready: assume (!(mem_req_valid_o && f_read_wait_q == 4'(Wait)) || mem_req_ready_i);
      fair_update_ready: assume (!(upd_req_valid_o && f_update_wait_q == 4'(Wait)) || upd_req_ready_i);
      fair_response_ready: assume (!(rsp_valid_o && f_response_wait_q == 4'(Wait)) || rsp_ready_i);
      fair_answer: assume (f_late == '0);
      bound_sinks: assert (f_sinks == '1);
      bound_small: assert (f_small == '1 && f_read_wait_q <= 4'(Wait) && f_update_wait_q <= 4'(Wait) &&
                           f_response_wait_q <= 4'(Wait));
      bound_waits: assert ((f_read_wait_q == '0 || mem_stalled_q) && (f_update_wait_q == '0 || upd_stalled_q) &&
                           (f_response_wait_q == '0 || rsp_stalled_q));
      bound_leader: assert (follow_q != '1);
      bound_invariant: assert (f_in_time == '1);
      bound_response: assert (f_together == '1);
    end
  end

  // ---- invalidation (5) -------------------------------------------------------------------------------------------
  // One invalidation is watched, any. Old is what a walk does that began before it was accepted, until it begins again
  // from the root.
  (* anyseq *) logic f_watch;
  (* anyconst *) logic [SetW-1:0] f_set;
  logic         f_accept, f_chosen_q, f_swept_q, f_inv_leaf_only_q, f_inv_caches_q;
  logic [2:0]   f_inv_scope_q;
  logic [15:0]  f_inv_domain_q;
  logic [19:0]  f_inv_pasid_q;
  logic [56:12] f_inv_address_q, f_inv_range_q;
  logic [N-1:0] f_old_q, f_old, f_touched;
  assign f_accept = inv_taken && f_watch && !f_chosen_q;
  assign f_old    = f_old_q & ~(begin_q & ~hit_q & ~kill_q);
  always_ff @(posedge clk_i or negedge rst_ni) begin : f_watched
    if (!rst_ni) begin
      f_chosen_q <= 1'b0;
      f_swept_q  <= 1'b0;
      f_old_q    <= '0;
    end else begin
      f_chosen_q <= f_chosen_q || f_accept;
      f_swept_q  <= !f_accept && (f_swept_q || (sweep_q && sweep_set_q == f_set));
      f_old_q    <= f_accept ? '1 : f_old & ~req_slot;
    end
  end
  always_ff @(posedge clk_i) begin : f_watched_what
    if (f_accept) begin
      f_inv_caches_q    <= caches_i;
      f_inv_scope_q     <= inv_scope_i;
      f_inv_domain_q    <= inv_domain_i;
      f_inv_pasid_q     <= inv_pasid_i;
      f_inv_address_q   <= inv_address_i;
      f_inv_range_q     <= ~(45'h1FFF_FFFF_FFFF << inv_mask_i);
      f_inv_leaf_only_q <= inv_leaf_only_i;
    end
  end
  // What VT-d 6.5 makes it drop: of the caches, for the entry that is about to be filled in; of the walks.
  logic         f_same_domain, f_same_pasid, f_overlaps, f_drops_first, f_drops_second, f_drops_guest;
  logic [56:12] f_fill_input, f_differ;
  logic [2:0]   f_fill_level;
  assign f_fill_input   = (step_first || !step_kind[1]) ? step_iova[56:12] : {5'd0, step_guest[51:12]};
  assign f_fill_level   = step_first ? step_first_level : step_level;
  assign f_differ       = (f_fill_input ^ f_inv_address_q) & ~f_inv_range_q;
  assign f_overlaps     = (f_fill_level == 3'd2) ? f_differ[56:21] == '0 : (f_fill_level == 3'd3) ? f_differ[56:30] == '0 :
                                                                           f_differ[56:39] == '0;
  assign f_same_domain  = domain_q[mem_rsp_id_i] == f_inv_domain_q;
  assign f_same_pasid   = f_same_domain && pasid_q[mem_rsp_id_i] == f_inv_pasid_q;
  assign f_drops_first  = f_inv_scope_q == vtd_pkg::SCOPE_ALL ||
                          (f_same_domain && (f_inv_scope_q == vtd_pkg::SCOPE_DOMAIN ||
                                             f_inv_scope_q == vtd_pkg::SCOPE_DOMAIN_PAGE)) ||
                          (f_same_pasid && (f_inv_scope_q == vtd_pkg::SCOPE_PASID ||
                           (f_inv_scope_q == vtd_pkg::SCOPE_PASID_PAGE && !f_inv_leaf_only_q && f_overlaps)));
  assign f_drops_second = f_inv_scope_q == vtd_pkg::SCOPE_ALL ||
                          (f_same_domain && (f_inv_scope_q == vtd_pkg::SCOPE_DOMAIN ||
                           (f_inv_scope_q == vtd_pkg::SCOPE_DOMAIN_PAGE && !f_inv_leaf_only_q && f_overlaps)));
  assign f_drops_guest  = f_inv_scope_q == vtd_pkg::SCOPE_ALL ||
                          (f_same_domain && (f_inv_scope_q == vtd_pkg::SCOPE_DOMAIN ||
                                             f_inv_scope_q == vtd_pkg::SCOPE_DOMAIN_PAGE));
  for (genvar i = 0; i < N; i++) begin : gen_f_touched
    logic of_domain, of_pasid, of_page;
    assign of_domain = domain_q[i] == f_inv_domain_q;
    assign of_pasid  = of_domain && pasid_q[i] == f_inv_pasid_q;
    assign of_page   = ((iova_q[i][56:12] ^ f_inv_address_q) & ~f_inv_range_q) == '0;
    // A range without leaf_only may hold any entry of the path; a first-stage walk may come by any page of the second.
    assign f_touched[i] =
        f_inv_scope_q == vtd_pkg::SCOPE_ALL || (f_inv_scope_q == vtd_pkg::SCOPE_DOMAIN && of_domain) ||
        (f_inv_scope_q == vtd_pkg::SCOPE_PASID && of_pasid) ||
        (f_inv_scope_q == vtd_pkg::SCOPE_DOMAIN_PAGE && of_domain && (of_page || !f_inv_leaf_only_q || kind_q[i][1])) ||
        (f_inv_scope_q == vtd_pkg::SCOPE_PASID_PAGE && of_pasid && (of_page || !f_inv_leaf_only_q));
  end
  always_ff @(posedge clk_i) begin : f_invalidation
    if (rst_ni && f_chosen_q) begin
      if (f_old[mem_rsp_id_i]) begin
        fresh_first: assert (!(fill_first && f_drops_first));
        fresh_second: assert (!(fill_second && f_drops_second));
        fresh_guest: assert (!(fill_guest && f_drops_guest));
      end
      // Complete: what is covered and old only waits for the walk that it follows, not for its result.
      if (inv_ready_o) begin
        fresh_complete: assert ((f_old & f_touched & busy & ~refused_q & ~follow_q) == '0);
        fresh_swept: assert (!f_inv_caches_q || f_swept_q || 32'(f_set) >= Sets);
      end
      if (caches_on) fresh_no_early_hit: assert (!f_inv_caches_q || f_swept_q || 32'(f_set) >= Sets);
      if (inherits) fresh_inherits: assert (!(f_old[heir] && f_touched[heir]));
      fresh_killed: assert ((f_old & f_touched & busy & ~refused_q & ~kill_q) == '0);
      fresh_caches: assert (f_inv_caches_q == caches_i);
      fresh_sweep: assert (!f_inv_caches_q || f_swept_q || 32'(f_set) >= Sets || (sweep_q && sweep_set_q <= f_set));
      if (sweep_q && !f_swept_q && 32'(f_set) < Sets) begin
        fresh_what: assert (inv_scope_q == f_inv_scope_q && inv_domain_q == f_inv_domain_q && inv_pasid_q == f_inv_pasid_q &&
                            inv_address_q == f_inv_address_q[56:21] && inv_range_q == f_inv_range_q[56:21] &&
                            inv_leaf_only_q == f_inv_leaf_only_q);
      end
    end
  end

  // ---- rights (6) ---------------------------------------------------------------------------------------------------
  // What the entries delivered for a walk's path allow together; of cached entries, what was filled in for them, which
  // for the second stage is all (rights_fill). Of nested walks the second-stage path is that of the page itself.
  logic [N-1:0] f_first_x_q, f_first_u_q, f_first_w_q, f_second_w_q, f_second_r_q;
  always_ff @(posedge clk_i) begin : f_rights
    if (mem_req_valid_o && begins) begin
      f_first_x_q[r] <= !begins_hit || hit_rights_q[r][2];
      f_first_u_q[r] <= !begins_hit || hit_rights_q[r][1];
      f_first_w_q[r] <= !begins_hit || hit_rights_q[r][0];
    end
    if (mem_req_valid_o && (begins || translates)) begin
      f_second_w_q[r] <= 1'b1;
      f_second_r_q[r] <= 1'b1;
    end
    if (mem_rsp_valid_i) begin
      if (first_q[d]) begin
        if (mem_rsp_data_i[vtd_pkg::FS_XD]) f_first_x_q[d] <= 1'b0;
        if (!mem_rsp_data_i[vtd_pkg::FS_US]) f_first_u_q[d] <= 1'b0;
        if (!mem_rsp_data_i[vtd_pkg::FS_RW]) f_first_w_q[d] <= 1'b0;
      end else begin
        if (!mem_rsp_data_i[vtd_pkg::SS_W]) f_second_w_q[d] <= 1'b0;
        if (!mem_rsp_data_i[vtd_pkg::SS_R]) f_second_r_q[d] <= 1'b0;
      end
    end
    if (inherits) begin
      f_first_x_q[heir]  <= f_first_x_q[p];
      f_first_u_q[heir]  <= f_first_u_q[p];
      f_first_w_q[heir]  <= f_first_w_q[p];
      f_second_w_q[heir] <= f_second_w_q[p];
      f_second_r_q[heir] <= f_second_r_q[p];
    end
  end
  logic [N-1:0] f_says, f_grants, f_tracks;
  for (genvar i = 0; i < N; i++) begin : gen_f_rights
    logic legacy, second, first, result, asks_write, asks_read, may_write, may_read, zero_length;
    assign legacy      = kind_q[i] == vtd_pkg::WALK_LEGACY;
    assign second      = kind_q[i] != vtd_pkg::WALK_FIRST_STAGE;
    assign first       = kind_q[i][1];
    assign result      = (done_q[i] || (ended_q[i] && (update_q[i] || updating_q[i]))) && fault_q[i] == '0 && !refused_q[i];
    assign asks_write  = asks_q[i][7];
    assign asks_read   = asks_q[i][8:7] != vtd_pkg::ACCESS_WRITE;
    assign zero_length = asks_q[i][8:7] == vtd_pkg::ACCESS_ZERO_LENGTH_READ && zero_length_read_i;
    // A supervisor without write protection is not bound by R/W of the first stage.
    assign may_write   = (!second || f_second_w_q[i]) &&
                         (!first || f_first_w_q[i] || (asks_q[i][6] && !asks_q[i][3]));
    assign may_read    = !second || f_second_r_q[i] || (zero_length && may_write);
    // The rights that the result names; the access that was asked for (unless rights are only reported).
    assign f_says[i]   = !result || ((!result_q[i][0] || !second || f_second_r_q[i]) &&
                                     (!result_q[i][1] || ((!second || f_second_w_q[i]) && (!first || f_first_w_q[i]))) &&
                                     (!result_q[i][2] || !first || f_first_u_q[i]) &&
                                     (!result_q[i][3] || !first || f_first_x_q[i]) &&
                                     (!result_q[i][4] || legacy || !second || f_second_w_q[i]));
    assign f_grants[i] = !result || asks_q[i][4] ||
                         ((!asks_write || may_write) && (!asks_read || may_read) &&
                          (!first || asks_q[i][6] || f_first_u_q[i]) && (!first || !asks_q[i][5] || f_first_x_q[i]));
    // Legacy walks have no reported rights.
    assign f_tracks[i] = !((read_q[i] || wait_q[i] || update_q[i]) && !begin_q[i] && !kill_q[i] &&
                           !(ended_q[i] && (update_q[i] || updating_q[i]))) ||
                         (rights_q[i] == {f_first_x_q[i], f_first_u_q[i], f_first_w_q[i]} &&
                          (translate_q[i] || first_q[i] || path_q[i] == {f_second_w_q[i], f_second_r_q[i]}));
  end
  always_ff @(posedge clk_i) begin : f_permissions
    if (rst_ni) begin
      if (rsp_valid_o && rsp_fault_o == '0) begin
        rights_said: assert (f_says[rsp_id_o]);
        rights_granted: assert (f_grants[rsp_id_o]);
      end
      if (fill_first) begin
        rights_fill_first: assert (next_rights == ({f_first_x_q[d], f_first_u_q[d], f_first_w_q[d]} &
                                                   {!mem_rsp_data_i[vtd_pkg::FS_XD], mem_rsp_data_i[vtd_pkg::FS_US],
                                                    mem_rsp_data_i[vtd_pkg::FS_RW]}));
      end
      if (fill_second || fill_guest) begin
        rights_fill_second: assert (f_second_w_q[d] && f_second_r_q[d] && mem_rsp_data_i[vtd_pkg::SS_W] &&
                                    mem_rsp_data_i[vtd_pkg::SS_R]);
      end
      rights_all: assert (f_says == '1 && f_grants == '1);
      rights_tracks: assert (f_tracks == '1);
    end
  end

  // ---- covers: situations that must be reachable -------------------------------------------------------------------
  logic [N-1:0] f_updated_q, f_killed_q, f_hits_q, f_retried_q;
  always_ff @(posedge clk_i or negedge rst_ni) begin : f_histories
    if (!rst_ni) begin
      f_updated_q <= '0;
      f_killed_q  <= '0;
      f_hits_q    <= '0;
      f_retried_q <= '0;
    end else begin
      f_updated_q <= (f_updated_q & ~req_slot) | ((update_counts && upd_rsp_swapped_i && !upd_rsp_error_i) ? upd_rsp_slot : '0);
      f_killed_q  <= (f_killed_q & ~req_slot) | kill_q;
      f_hits_q    <= (f_hits_q & ~req_slot) | ((looks && second_hit) ? mem_grant : '0) | ((begins_hit && mem_req_valid_o) ? mem_grant : '0);
      f_retried_q <= (f_retried_q & ~req_slot) | (update_retry ? upd_rsp_slot : '0);
    end
  end
  logic f_result;
  assign f_result = rsp_valid_o && rsp_fault_o == '0;
  always_ff @(posedge clk_i) begin : f_covers
    if (rst_ni) begin
      cover_updated: assert (!(f_result && f_updated_q[rsp_id_o]));
      cover_retried: assert (!(f_result && f_retried_q[rsp_id_o]));
      cover_killed: assert (!(f_result && f_killed_q[rsp_id_o]));
      cover_cached: assert (!(f_result && f_hits_q[rsp_id_o]));
      cover_first_cached: assert (!(f_result && f_hits_q[rsp_id_o] && kind_q[rsp_id_o][1]));
      cover_guest_cached: assert (!guest_found);
      cover_shared: assert (!(inherits && inv_ready_o));
      cover_nested: assert (!(f_result && kind_q[rsp_id_o] == vtd_pkg::WALK_NESTED));
      cover_denied: assert (!(f_result && kind_q[rsp_id_o] == vtd_pkg::WALK_SECOND_STAGE && !rsp_writable_o && rsp_readable_o));
      cover_fault: assert (!(rsp_valid_o && rsp_fault_o != '0 && reads_q[rsp_id_o] == 16'd2));
      cover_full: assert (!(busy == '1 && wait_q == '1));
      cover_stalled: assert (!(mem_stalled_q && rsp_stalled_q));
      cover_invalidated: assert (!(f_chosen_q && f_swept_q && inv_ready_o && f_result));
      cover_slow: assert (!(f_result && f_read_wait_q != '0));
    end
  end
