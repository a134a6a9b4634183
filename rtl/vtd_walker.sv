// SPDX-License-Identifier: MIT
/// Page walker of an IOMMU (VT-d 3.6 to 3.8): first-stage, second-stage and nested walks, N side by side, one slot
/// each, named by the requester's id. Every port moves one item a cycle; memory answers in any order, any time.
///
///   request -> check, first-stage caches -> slot -> [pick] -> second-stage caches -> memory read
///                                            ^                                          |
///   response <- [pick] <- slot: done         +--- vtd_walk_step <--- memory answer <----+
///                         slot: update -> [pick] -> compare-exchange -> answer -> on, or begin again
///
/// A slot is idle or in one of: read (wants the read port), update (wants the update port), wait (for memory), done
/// (wants the response port), follow (another walk of the same page will answer it). A walk of n reads that finds
/// nothing in the caches takes n*(L+2)+2 edges from acceptance to response, both included, where L = 0 means that
/// memory answers at the edge after the one that took the read.
///
/// Caches qualify entries so that their use needs no check (vtd_structure_caches). An invalidation drops what it
/// covers from the caches and makes covered walks begin again; it is complete when inv_ready_o is high again: no
/// read, update or response that a covered walk had begun before is still to come.
module vtd_walker #(
  /// Walks side by side, 1 to 64.
  parameter integer N = 16,
  /// Entries of the paging-structure caches: for levels 2, 3 and 4 of each stage, and for guest pages that hold tables.
  parameter integer Level2Entries = 64,
  parameter integer Level3Entries = 16,
  parameter integer Level4Entries = 8,
  parameter integer GuestEntries = 128,
  parameter integer Ways = 4,
  localparam integer IdW = (N > 1) ? $clog2(N) : 1,
  /// Cycles of a sweep through the caches.
  localparam integer Sets = ((GuestEntries > Level2Entries) ? GuestEntries : Level2Entries) / Ways,
  localparam integer SetW = (Sets > 1) ? $clog2(Sets) : 1
) (
  input  logic           clk_i,
  input  logic           rst_ni,

  /// Profile; constant while a walk is in flight. gaw_i is MGAW + 1.
  input  logic [5:0]     haw_i,
  input  logic [5:0]     gaw_i,
  input  logic           superpage_2m_i,
  input  logic           superpage_1g_i,
  input  logic           first_stage_1g_i,
  input  logic           snoop_control_i,
  input  logic           device_tlb_i,
  input  logic           zero_length_read_i,
  /// Use the paging-structure caches; let walks of one page share.
  input  logic           caches_i,
  input  logic           sharing_i,

  /// Walk request. The id must not be in flight; levels is 3 to 5, first_levels 4 or 5, of the stages that the kind has;
  /// roots are 4 KiB aligned. Walks of one domain have one second-stage tree, walks of one domain and PASID one first-stage tree.
  input  logic           req_valid_i,
  output logic           req_ready_o,
  input  logic [IdW-1:0] req_id_i,
  input  logic [1:0]     req_kind_i,
  input  logic [15:0]    req_domain_i,
  input  logic [19:0]    req_pasid_i,
  input  logic [63:0]    req_iova_i,
  input  logic [63:0]    req_root_i,
  input  logic [2:0]     req_levels_i,
  input  logic [63:0]    req_first_root_i,
  input  logic [2:0]     req_first_levels_i,
  input  logic [1:0]     req_access_i,
  input  logic           req_privileged_i,
  input  logic           req_execute_i,
  input  logic           req_report_rights_i,
  input  logic           req_write_protect_i,
  input  logic           req_accessed_dirty_i,
  input  logic           req_extended_accessed_i,
  input  logic           req_walk_snoop_i,

  /// Read of one 8-byte entry; the id names the walk, which has at most one read or update outstanding.
  output logic           mem_req_valid_o,
  input  logic           mem_req_ready_i,
  output logic [IdW-1:0] mem_req_id_o,
  output logic [51:0]    mem_req_addr_o,
  input  logic           mem_rsp_valid_i,
  input  logic [IdW-1:0] mem_rsp_id_i,
  input  logic [63:0]    mem_rsp_data_i,
  input  logic           mem_rsp_error_i,

  /// Atomic compare-exchange of one 8-byte entry, to set A or D.
  output logic           upd_req_valid_o,
  input  logic           upd_req_ready_i,
  output logic [IdW-1:0] upd_req_id_o,
  output logic [51:0]    upd_req_addr_o,
  output logic [63:0]    upd_req_expected_o,
  output logic [63:0]    upd_req_desired_o,
  input  logic           upd_rsp_valid_i,
  input  logic [IdW-1:0] upd_rsp_id_i,
  input  logic           upd_rsp_swapped_i,
  input  logic           upd_rsp_error_i,

  /// Result; with fault 0 the leaf. level is that of the leaf (nested: of the smaller one), or of the entry that
  /// faulted, 0 if none was read.
  output logic           rsp_valid_o,
  input  logic           rsp_ready_i,
  output logic [IdW-1:0] rsp_id_o,
  output logic [7:0]     rsp_fault_o,
  output logic [2:0]     rsp_level_o,
  output logic [51:0]    rsp_page_o,
  output logic           rsp_readable_o,
  output logic           rsp_writable_o,
  output logic           rsp_user_o,
  output logic           rsp_executable_o,
  output logic           rsp_supervisor_writable_o,
  output logic           rsp_snoop_o,
  output logic           rsp_transient_o,
  output logic           rsp_clean_o,
  output logic [15:0]    rsp_reads_o,

  /// Invalidation; complete when ready is high again. mask: the range is 2^mask pages, naturally aligned. leaf_only, of
  /// page ranges: only leaves have changed, what points to tables may stay cached.
  input  logic           inv_valid_i,
  output logic           inv_ready_o,
  input  logic [2:0]     inv_scope_i,
  input  logic [15:0]    inv_domain_i,
  input  logic [19:0]    inv_pasid_i,
  input  logic [56:12]   inv_address_i,
  input  logic [5:0]     inv_mask_i,
  input  logic           inv_leaf_only_i,

  /// Accepts nothing more; drained_o: nothing is in flight any more.
  input  logic           drain_i,
  output logic           drained_o,

  /// Event counters: number and value (vtd_pkg::EVENT_*). They wrap.
  input  logic [3:0]     event_i,
  output logic [31:0]    event_count_o,

  /// Without a new request, invalidation or answer of memory, further edges change nothing.
  output logic           quiescent_o,
  /// No walk is in flight.
  output logic           idle_o
);
  localparam logic [N-1:0] One = N'(1);

  // ---- slots --------------------------------------------------------------------------------------------------
  // What a slot is doing: at most one of these is set.
  logic [N-1:0] read_q, update_q, wait_q, done_q, follow_q;
  // And about it: the walk is at its beginning; and may start where the first-stage caches say; its second stage is at
  // its beginning; it has ended; its update is about to set D; it was refused without a read; an invalidation has
  // covered it; another slot follows it.
  logic [N-1:0] begin_q, hit_q, translate_q, ended_q, dirty_q, refused_q, kill_q, followed_q;

  // The request. One array a field: structs in arrays are dropped silently by Yosys.
  logic [1:0]   kind_q         [N];
  logic [15:0]  domain_q       [N];
  logic [19:0]  pasid_q        [N];
  logic [56:0]  iova_q         [N];
  logic [51:12] root_q         [N];
  logic [2:0]   levels_q       [N];
  logic [51:12] first_root_q   [N];
  logic [2:0]   first_levels_q [N];
  logic [8:0]   asks_q         [N];  // access, and the flags from privileged to walk_snoop
  // What the first-stage caches knew of it.
  logic [2:0]   hit_level_q    [N];
  logic [51:12] hit_table_q    [N];
  logic [2:0]   hit_rights_q   [N];
  // Where the walk is.
  logic         first_q        [N];  // the entry to read is one of the first stage
  logic         for_table_q    [N];  // the second stage translates the address of a first-stage entry
  logic [2:0]   level_q        [N];
  logic [2:0]   first_level_q  [N];
  logic [51:12] table_q        [N];  // of the entry to read; at the end the page
  logic [51:0]  guest_q        [N];  // nested: input of the second stage
  logic [1:0]   path_q         [N];  // W, R of the second stage
  logic [2:0]   rights_q       [N];  // XD clear, U/S, R/W of the first stage
  // Entries that may have to be updated, and which of them are to be (second-stage, first-stage, of the table).
  logic [51:3]  address_q      [N];  // of the entry read last
  logic [63:0]  second_word_q  [N];
  logic [2:0]   second_level_q [N];
  logic [51:3]  first_addr_q   [N];
  logic [63:0]  first_word_q   [N];
  logic [2:0]   first_word_level_q [N];
  logic [51:3]  table_addr_q   [N];
  logic [63:0]  table_word_q   [N];
  logic [2:0]   table_level_q  [N];
  logic         table_w_q      [N];
  logic [2:0]   todo_q         [N];
  // The result.
  logic [7:0]   fault_q        [N];
  logic [2:0]   result_level_q [N];
  logic [7:0]   result_q       [N];
  logic [15:0]  reads_q        [N];
  // Which slot follows.
  logic [IdW-1:0] heir_q       [N];

  logic [N-1:0] busy;
  assign busy        = read_q | update_q | wait_q | done_q | follow_q;
  assign req_ready_o = busy != '1 && !drain_i;
  assign idle_o      = busy == '0;
  assign drained_o   = drain_i && idle_o;

  logic [N-1:0] req_slot, mem_rsp_slot, upd_rsp_slot, mem_grant, upd_grant, rsp_grant;
  logic         req_taken, mem_taken, upd_taken, rsp_taken, inv_taken;
  assign req_taken    = req_valid_i && req_ready_o;
  assign mem_taken    = mem_req_valid_o && mem_req_ready_i;
  assign upd_taken    = upd_req_valid_o && upd_req_ready_i;
  assign rsp_taken    = rsp_valid_o && rsp_ready_i;
  assign inv_taken    = inv_valid_i && inv_ready_o;
  assign req_slot     = req_taken ? One << req_id_i : '0;
  assign mem_rsp_slot = mem_rsp_valid_i ? One << mem_rsp_id_i : '0;
  assign upd_rsp_slot = upd_rsp_valid_i ? One << upd_rsp_id_i : '0;

  // ---- a new request ------------------------------------------------------------------------------------------
  logic [7:0]  req_fault;
  logic [8:0]  req_asks;
  logic        req_refused, req_first;
  assign req_asks    = {req_access_i, req_privileged_i, req_execute_i, req_report_rights_i, req_write_protect_i,
                        req_accessed_dirty_i, req_extended_accessed_i, req_walk_snoop_i};
  assign req_first   = req_kind_i[1];
  assign req_refused = req_fault != vtd_pkg::FR_NONE;
  vtd_request_check u_request_check (
    .haw_i, .gaw_i, .valid_i(req_valid_i), .kind_i(req_kind_i), .iova_i(req_iova_i), .root_i(req_root_i), .levels_i(req_levels_i),
    .first_root_i(req_first_root_i), .first_levels_i(req_first_levels_i), .fault_o(req_fault)
  );

  // A walk of the same page that asks for the same, and that nobody follows yet, answers this one too.
  logic [N-1:0] may_lead, leader;
  always_comb begin : find_leader
    may_lead = '0;
    if (req_taken && sharing_i && !req_refused) begin
      for (int i = 0; i < N; i++) begin
        may_lead[i] = iova_q[i][56:12] == req_iova_i[56:12] && kind_q[i] == req_kind_i &&
                      domain_q[i] == req_domain_i && pasid_q[i] == req_pasid_i && asks_q[i] == req_asks;
      end
      may_lead = may_lead & (read_q | update_q | wait_q | follow_q) & ~kill_q & ~followed_q;
    end
  end
  assign leader = may_lead & (~may_lead + One);

  // ---- caches -------------------------------------------------------------------------------------------------
  // Looked up while nothing is being swept; the first stage for the request, the second for the read that is shown.
  logic         caches_on, sweep_q, first_hit, second_hit, guest_hit;
  logic [SetW-1:0] sweep_set_q;
  logic [2:0]   first_level, first_rights, second_level;
  logic [51:12] first_table, second_table, guest_page;
  logic [15:0]  look_domain;
  logic [56:12] look_input;
  logic [2:0]   look_levels;
  logic         fill_first, fill_second, fill_guest;
  logic [2:0]   inv_scope_q;
  logic [15:0]  inv_domain_q;
  logic [19:0]  inv_pasid_q;
  logic [56:21] inv_address_q, inv_range_q;
  logic         inv_leaf_only_q;
  logic         step_first, step_for_table;
  logic [1:0]   step_kind;
  logic [2:0]   step_level, step_first_level;
  logic [51:0]  step_guest;
  logic [56:0]  step_iova;
  logic [51:12] next_table;
  logic [2:0]   next_rights;
  assign caches_on = caches_i && !sweep_q;
  vtd_structure_caches #(
    .Level2Entries(Level2Entries), .Level3Entries(Level3Entries), .Level4Entries(Level4Entries),
    .GuestEntries(GuestEntries), .Ways(Ways)
  ) u_caches (
    .clk_i, .rst_ni, .enable_i(caches_on),
    .first_look_i(req_valid_i && req_first), .first_nested_i(req_kind_i[0]), .first_domain_i(req_domain_i), .first_pasid_i(req_pasid_i),
    .first_input_i(req_iova_i[56:21]), .first_levels_i(req_first_levels_i), .first_hit_o(first_hit),
    .first_level_o(first_level), .first_table_o(first_table), .first_rights_o(first_rights),
    .second_look_i(looks), .second_domain_i(look_domain), .second_input_i(look_input), .second_levels_i(look_levels),
    .second_hit_o(second_hit), .second_level_o(second_level), .second_table_o(second_table), .guest_hit_o(guest_hit),
    .guest_page_o(guest_page),
    .fill_first_i(fill_first), .fill_second_i(fill_second), .fill_guest_i(fill_guest), .fill_nested_i(step_kind[0]),
    .fill_level_i(step_first ? step_first_level : step_level), .fill_domain_i(domain_q[mem_rsp_id_i]),
    .fill_pasid_i(pasid_q[mem_rsp_id_i]),
    .fill_input_i((step_first || !step_kind[1]) ? step_iova[56:12] : {5'd0, step_guest[51:12]}),
    .fill_table_i(next_table), .fill_rights_i(next_rights),
    .sweep_i(sweep_q), .sweep_set_i(sweep_set_q), .sweep_scope_i(inv_scope_q), .sweep_domain_i(inv_domain_q),
    .sweep_pasid_i(inv_pasid_q), .sweep_address_i(inv_address_q), .sweep_range_i(inv_range_q),
    .sweep_leaf_only_i(inv_leaf_only_q)
  );
  // A guest address that tables of this many levels do not reach is of no use, whoever cached it.
  logic [5:0] req_table_width, req_second_width;
  logic       req_hit;
  assign req_table_width  = (req_levels_i == 3'd3) ? 6'd39 : (req_levels_i == 3'd4) ? 6'd48 : 6'd57;
  assign req_second_width = (gaw_i < req_table_width) ? gaw_i : req_table_width;
  assign req_hit          = req_first && first_hit && !req_refused &&
                            (!req_kind_i[0] || ({first_table, 12'd0} >> req_second_width) == '0);

  // ---- read port ----------------------------------------------------------------------------------------------
  // A slot that is shown for the first time takes its place from the caches; from the next cycle on it is a plain
  // read of the same address.
  vtd_round_robin #(.N(N), .IdW(IdW)) u_read_turn (
    .clk_i, .rst_ni, .candidate_i(read_q), .take_i(mem_taken), .valid_o(mem_req_valid_o), .id_o(mem_req_id_o),
    .grant_o(mem_grant)
  );
  logic [IdW-1:0] r;
  logic [1:0]     read_kind;
  logic           begins, begins_hit, translates, looks, guest_found, read_first, read_for_table;
  logic [2:0]     start_first_level, read_level, read_first_level;
  logic [51:12]   start_first_table, read_table;
  logic [51:0]    start_guest, read_guest;
  assign r                 = mem_req_id_o;
  assign read_kind         = kind_q[r];
  assign begins            = begin_q[r];
  assign begins_hit        = begins && hit_q[r];
  assign start_first_level = begins_hit ? hit_level_q[r] : first_levels_q[r];
  assign start_first_table = begins_hit ? hit_table_q[r] : first_root_q[r];
  vtd_entry_address u_start_guest (
    .table_i(start_first_table), .input_i(iova_q[r][56:12]), .level_i(start_first_level), .address_o(start_guest)
  );
  // The second stage begins here, for these: the caches may know the way, or, of a first-stage table, the end.
  assign translates     = (begins && read_kind != vtd_pkg::WALK_FIRST_STAGE) || translate_q[r];
  assign read_for_table = begins ? read_kind == vtd_pkg::WALK_NESTED : for_table_q[r];
  assign read_guest     = begins ? start_guest : guest_q[r];
  assign look_domain    = domain_q[r];
  assign look_input     = read_kind[1] ? {5'd0, read_guest[51:12]} : iova_q[r][56:12];
  assign look_levels    = levels_q[r];
  assign looks          = mem_req_valid_o && translates;
  assign guest_found    = looks && read_for_table && guest_hit;
  always_comb begin : place_of_read
    read_first       = first_q[r];
    read_level       = level_q[r];
    read_first_level = first_level_q[r];
    read_table       = table_q[r];
    if (begins) begin
      read_first       = read_kind == vtd_pkg::WALK_FIRST_STAGE;
      read_first_level = start_first_level;
      read_table       = start_first_table;
    end
    if (translates) begin
      read_first = 1'b0;
      read_level = levels_q[r];
      read_table = root_q[r];
      if (read_for_table && guest_hit) begin
        read_first = 1'b1;
        read_table = guest_page;
      end else if (second_hit) begin
        read_level = second_level;
        read_table = second_table;
      end
    end
  end
  vtd_entry_address u_read_address (
    .table_i(read_table), .input_i((read_first || !read_kind[1]) ? iova_q[r][56:12] : {5'd0, read_guest[51:12]}),
    .level_i(read_first ? read_first_level : read_level), .address_o(mem_req_addr_o)
  );

  // ---- answer of memory -----------------------------------------------------------------------------------------
  logic [IdW-1:0] d;
  logic [8:0]     step_asks;
  logic [7:0]     step_fault;
  logic           step_ends, step_leaf, next_first, next_translate, next_for_table, next_path_r, next_path_w;
  logic           update_table, update_first, update_second, step_dirty;
  logic           readable, writable, supervisor_writable, clean, answer_killed, answer_counts, updates;
  logic [2:0]     next_level, next_first_level, step_result_level;
  logic [51:0]    next_guest;
  assign d                = mem_rsp_id_i;
  assign step_asks        = asks_q[d];
  assign step_kind        = kind_q[d];
  assign step_first       = first_q[d];
  assign step_for_table   = for_table_q[d];
  assign step_level       = level_q[d];
  assign step_first_level = first_level_q[d];
  assign step_guest       = guest_q[d];
  assign step_iova        = iova_q[d];
  vtd_walk_step u_step (
    .haw_i, .gaw_i, .superpage_2m_i, .superpage_1g_i, .first_stage_1g_i, .snoop_control_i, .device_tlb_i,
    .zero_length_read_i, .valid_i(mem_rsp_valid_i), .entry_i(mem_rsp_data_i), .error_i(mem_rsp_error_i), .kind_i(step_kind), .iova_i(step_iova),
    .levels_i(levels_q[d]), .first_levels_i(first_levels_q[d]), .access_i(step_asks[8:7]),
    .privileged_i(step_asks[6]), .execute_i(step_asks[5]), .report_rights_i(step_asks[4]),
    .write_protect_i(step_asks[3]), .accessed_dirty_i(step_asks[2]), .extended_accessed_i(step_asks[1]),
    .walk_snoop_i(step_asks[0]), .first_i(step_first), .for_table_i(step_for_table), .level_i(step_level),
    .first_level_i(step_first_level), .guest_i(step_guest), .path_r_i(path_q[d][0]), .path_w_i(path_q[d][1]),
    .first_w_i(rights_q[d][0]), .first_u_i(rights_q[d][1]), .first_x_i(rights_q[d][2]),
    .first_entry_i(first_word_q[d]), .table_entry_i(table_word_q[d]), .table_w_i(table_w_q[d]),
    .fault_o(step_fault), .ends_o(step_ends), .leaf_o(step_leaf), .next_first_o(next_first),
    .translate_o(next_translate), .for_table_o(next_for_table), .level_o(next_level),
    .first_level_o(next_first_level), .guest_o(next_guest), .table_o(next_table), .path_r_o(next_path_r),
    .path_w_o(next_path_w), .first_w_o(next_rights[0]), .first_u_o(next_rights[1]), .first_x_o(next_rights[2]),
    .update_table_o(update_table), .update_first_o(update_first), .update_second_o(update_second),
    .dirty_o(step_dirty), .result_level_o(step_result_level), .readable_o(readable), .writable_o(writable),
    .supervisor_writable_o(supervisor_writable), .clean_o(clean)
  );
  assign answer_killed = kill_q[d];
  assign answer_counts = mem_rsp_valid_i && !answer_killed;
  assign updates       = update_table || update_first || update_second;

  // Fills: entries that need no update and that nothing is wrong with.
  logic cacheable, level_cached;
  assign cacheable    = answer_counts && caches_i && step_fault == vtd_pkg::FR_NONE && !updates;
  assign level_cached = step_first ? (step_first_level >= 3'd2 && step_first_level <= 3'd4)
                                   : (step_level >= 3'd2 && step_level <= 3'd4);
  assign fill_first  = cacheable && step_first && !step_leaf && level_cached;
  assign fill_second = cacheable && !step_first && !step_leaf && level_cached && next_path_r && next_path_w;
  assign fill_guest  = cacheable && !step_first && step_leaf && step_for_table && next_path_r && next_path_w &&
                       (!step_asks[2] || mem_rsp_data_i[vtd_pkg::SS_D]);

  // ---- updates ------------------------------------------------------------------------------------------------
  // In turn: the leaf that maps the table of the first-stage entry, the first-stage entry, the second-stage entry.
  vtd_round_robin #(.N(N), .IdW(IdW)) u_update_turn (
    .clk_i, .rst_ni, .candidate_i(update_q), .take_i(upd_taken), .valid_o(upd_req_valid_o), .id_o(upd_req_id_o),
    .grant_o(upd_grant)
  );
  logic [IdW-1:0] u;
  logic [63:0]    second_bits, first_bits;
  localparam logic [63:0] SecondA = 64'd1 << vtd_pkg::SS_A;
  localparam logic [63:0] SecondD = 64'd1 << vtd_pkg::SS_D;
  localparam logic [63:0] FirstA = 64'd1 << vtd_pkg::FS_A;
  localparam logic [63:0] FirstD = 64'd1 << vtd_pkg::FS_D;
  localparam logic [63:0] FirstEa = 64'd1 << vtd_pkg::FS_EA;
  assign u           = upd_req_id_o;
  assign second_bits = SecondA | (dirty_q[u] ? SecondD : '0);
  assign first_bits  = FirstA | (dirty_q[u] ? FirstD : '0) | (asks_q[u][1] ? FirstEa : '0);
  always_comb begin : update_shown
    upd_req_addr_o     = {address_q[u], 3'd0};
    upd_req_expected_o = second_word_q[u];
    upd_req_desired_o  = second_word_q[u] | second_bits;
    if (todo_q[u][2]) begin
      upd_req_addr_o     = {table_addr_q[u], 3'd0};
      upd_req_expected_o = table_word_q[u];
      upd_req_desired_o  = table_word_q[u] | SecondA | SecondD;
    end else if (todo_q[u][1]) begin
      upd_req_addr_o     = {first_addr_q[u], 3'd0};
      upd_req_expected_o = first_word_q[u];
      upd_req_desired_o  = first_word_q[u] | first_bits;
    end
  end

  logic [IdW-1:0] v;
  logic [2:0]     todo, todo_next;
  logic           update_killed, update_failed, update_retry, update_counts;
  assign v             = upd_rsp_id_i;
  assign todo          = todo_q[v];
  assign todo_next     = todo[2] ? {1'b0, todo[1:0]} : todo[1] ? {2'b00, todo[0]} : 3'b000;
  assign update_killed = upd_rsp_valid_i && kill_q[v];
  assign update_counts = upd_rsp_valid_i && !kill_q[v];
  assign update_failed = update_counts && upd_rsp_error_i;
  assign update_retry  = update_counts && !upd_rsp_error_i && !upd_rsp_swapped_i;

  // ---- response port ------------------------------------------------------------------------------------------
  vtd_round_robin #(.N(N), .IdW(IdW)) u_response_turn (
    .clk_i, .rst_ni, .candidate_i(done_q), .take_i(rsp_taken), .valid_o(rsp_valid_o), .id_o(rsp_id_o),
    .grant_o(rsp_grant)
  );
  logic [IdW-1:0] p, heir;
  assign p           = rsp_id_o;
  assign rsp_fault_o = fault_q[p];
  assign rsp_level_o = result_level_q[p];
  assign rsp_page_o  = {table_q[p], 12'd0};
  assign rsp_reads_o = reads_q[p];
  assign {rsp_clean_o, rsp_transient_o, rsp_snoop_o, rsp_supervisor_writable_o, rsp_executable_o, rsp_user_o,
          rsp_writable_o, rsp_readable_o} = result_q[p];

  // Who follows has the result as well, unless it is a fault, which tables may legally have stopped to give since,
  // or an invalidation came between.
  logic         bequeaths, inherits;
  logic [N-1:0] heir_slot;
  assign heir      = heir_q[p];
  assign bequeaths = rsp_taken && followed_q[p];
  assign inherits  = bequeaths && fault_q[p] == vtd_pkg::FR_NONE && !kill_q[p] && !kill_q[heir];
  assign heir_slot = bequeaths ? One << heir : '0;

`ifdef VTD_WAVES
  // For the eye only: what each slot is doing, by the names of waves/filters/walk_state.txt.
  logic [2:0] walk_state [N];
  for (genvar i = 0; i < N; i++) begin : gen_walk_state
    assign walk_state[i] = read_q[i] ? 3'd1 : update_q[i] ? 3'd2 : wait_q[i] ? 3'd3 : done_q[i] ? 3'd4 :
                           follow_q[i] ? 3'd5 : 3'd0;
  end
`endif

  // ---- what becomes of the slots --------------------------------------------------------------------------------
  logic [N-1:0] read_d, update_d, wait_d, done_d, follow_d, begin_d, hit_d, translate_d, ended_d, dirty_d, refused_d;
  logic [N-1:0] kill_d, followed_d;
  logic [N-1:0] again, stalled, shown, to_read, to_update, to_done, upd_to_read, upd_to_update, upd_to_done;
  logic [N-1:0] covered, killed_later, killed_now;
  always_comb begin : next_state
    shown     = mem_grant;
    stalled   = (mem_taken ? '0 : mem_grant) | (upd_taken ? '0 : upd_grant) | (rsp_taken ? '0 : rsp_grant);
    again     = (answer_killed ? mem_rsp_slot : '0) | ((update_killed || update_retry) ? upd_rsp_slot : '0) |
                (inherits ? '0 : heir_slot);
    to_update = (answer_counts && updates) ? mem_rsp_slot : '0;
    to_done   = (answer_counts && !updates && step_ends) ? mem_rsp_slot : '0;
    to_read   = (answer_counts && !updates && !step_ends) ? mem_rsp_slot : '0;
    upd_to_update = (update_counts && !update_failed && !update_retry && todo_next != '0) ? upd_rsp_slot : '0;
    upd_to_done   = (update_failed || (update_counts && !update_retry && todo_next == '0 && ended_q[v])) ?
                    upd_rsp_slot : '0;
    upd_to_read   = upd_rsp_slot & ~upd_to_update & ~upd_to_done & ~again;

    read_d   = (read_q & ~(mem_taken ? mem_grant : '0)) | to_read | upd_to_read | again |
               ((leader == '0 && !req_refused) ? req_slot : '0);
    update_d = (update_q & ~(upd_taken ? upd_grant : '0)) | to_update | upd_to_update;
    wait_d   = (wait_q & ~mem_rsp_slot & ~upd_rsp_slot) | (mem_taken ? mem_grant : '0) | (upd_taken ? upd_grant : '0);
    done_d   = (done_q & ~(rsp_taken ? rsp_grant : '0)) | to_done | upd_to_done | (req_refused ? req_slot : '0) |
               (inherits ? heir_slot : '0);
    follow_d = (follow_q & ~heir_slot) | ((leader != '0) ? req_slot : '0);

    begin_d     = (begin_q & ~shown) | again | req_slot;
    hit_d       = (hit_q & ~again & ~req_slot) | (req_hit ? req_slot : '0);
    translate_d = (translate_q & ~shown & ~again & ~req_slot) |
                  ((answer_counts && next_translate) ? mem_rsp_slot : '0);
    ended_d     = (ended_q & ~mem_rsp_slot) | ((answer_counts && step_ends) ? mem_rsp_slot : '0);
    dirty_d     = (dirty_q & ~mem_rsp_slot) | ((answer_counts && step_dirty) ? mem_rsp_slot : '0);
    refused_d   = (refused_q & ~req_slot) | (req_refused ? req_slot : '0);
    followed_d  = (followed_q & ~(rsp_taken ? rsp_grant : '0)) | leader;
    kill_d      = kill_q & ~(mem_rsp_slot | upd_rsp_slot | heir_slot | (rsp_taken ? rsp_grant : '0));

    // An invalidation: what is shown stays until it is taken, what waits for memory until it is answered; the rest of
    // what is covered begins again at once.
    killed_later = inv_taken ? (covered | req_slot) & ~refused_d & (wait_d | follow_d | stalled) : '0;
    killed_now   = inv_taken ? (covered | req_slot) & ~refused_d & ~stalled & (read_d | update_d | done_d) : '0;
    kill_d       = kill_d | killed_later;
    read_d       = read_d | killed_now;
    update_d     = update_d & ~killed_now;
    done_d       = done_d & ~killed_now;
    begin_d      = begin_d | killed_now;
    hit_d        = hit_d & ~killed_now;
    translate_d  = translate_d & ~killed_now;
  end

  always_ff @(posedge clk_i or negedge rst_ni) begin : slot_state
    if (!rst_ni) begin
      read_q      <= '0;
      update_q    <= '0;
      wait_q      <= '0;
      done_q      <= '0;
      follow_q    <= '0;
      begin_q     <= '0;
      hit_q       <= '0;
      translate_q <= '0;
      ended_q     <= '0;
      dirty_q     <= '0;
      refused_q   <= '0;
      kill_q      <= '0;
      followed_q  <= '0;
    end else begin
      read_q      <= read_d;
      update_q    <= update_d;
      wait_q      <= wait_d;
      done_q      <= done_d;
      follow_q    <= follow_d;
      begin_q     <= begin_d;
      hit_q       <= hit_d;
      translate_q <= translate_d;
      ended_q     <= ended_d;
      dirty_q     <= dirty_d;
      refused_q   <= refused_d;
      kill_q      <= kill_d;
      followed_q  <= followed_d;
    end
  end

  // The data of a slot is written before it is read. Those that are written in one cycle are different slots.
  always_ff @(posedge clk_i) begin : slot_data
    if (req_taken) begin
      kind_q[req_id_i]         <= req_kind_i;
      domain_q[req_id_i]       <= req_domain_i;
      pasid_q[req_id_i]        <= req_pasid_i;
      iova_q[req_id_i]         <= req_iova_i[56:0];
      root_q[req_id_i]         <= req_root_i[51:12];
      levels_q[req_id_i]       <= req_levels_i;
      first_root_q[req_id_i]   <= req_first_root_i[51:12];
      first_levels_q[req_id_i] <= req_first_levels_i;
      asks_q[req_id_i]         <= req_asks;
      hit_level_q[req_id_i]    <= first_level;
      hit_table_q[req_id_i]    <= first_table;
      hit_rights_q[req_id_i]   <= first_rights;
      fault_q[req_id_i]        <= req_fault;
      result_level_q[req_id_i] <= '0;
      reads_q[req_id_i]        <= '0;
    end
    if (leader != '0) begin
      for (int i = 0; i < N; i++) begin
        if (leader[i]) heir_q[i] <= req_id_i;
      end
    end
    if (mem_req_valid_o) begin
      address_q[r] <= mem_req_addr_o[51:3];
      if (begins || translates) begin
        first_q[r]     <= read_first;
        for_table_q[r] <= read_for_table;
        level_q[r]     <= read_level;
        table_q[r]     <= read_table;
        guest_q[r]     <= read_guest;
      end
      if (begins) begin
        first_level_q[r] <= read_first_level;
        rights_q[r]      <= begins_hit ? hit_rights_q[r] : 3'b111;
      end
      if (begins || translates) path_q[r] <= 2'b11;
      if (guest_found) begin
        table_w_q[r]    <= 1'b1;
        table_word_q[r] <= SecondA | SecondD;
      end
    end
    if (mem_rsp_valid_i) begin
      reads_q[d] <= reads_q[d] + 16'd1;
      if (step_first) begin
        first_addr_q[d]       <= address_q[d];
        first_word_q[d]       <= mem_rsp_data_i;
        first_word_level_q[d] <= step_first_level;
      end else begin
        second_word_q[d]  <= mem_rsp_data_i;
        second_level_q[d] <= step_level;
        if (step_for_table && step_leaf) begin
          table_addr_q[d]  <= address_q[d];
          table_word_q[d]  <= mem_rsp_data_i | SecondA;
          table_level_q[d] <= step_level;
          table_w_q[d]     <= next_path_w;
        end
      end
      first_q[d]        <= next_first;
      for_table_q[d]    <= next_for_table;
      level_q[d]        <= next_level;
      first_level_q[d]  <= next_first_level;
      table_q[d]        <= next_table;
      guest_q[d]        <= next_guest;
      path_q[d]         <= {next_path_w, next_path_r};
      rights_q[d]       <= next_rights;
      todo_q[d]         <= {update_table, update_first, update_second};
      fault_q[d]        <= step_fault;
      result_level_q[d] <= step_result_level;
      result_q[d]       <= {clean, step_kind != vtd_pkg::WALK_FIRST_STAGE && mem_rsp_data_i[vtd_pkg::SS_TM],
                            step_kind != vtd_pkg::WALK_FIRST_STAGE && mem_rsp_data_i[vtd_pkg::SS_SNP],
                            supervisor_writable, next_rights[2], next_rights[1], writable, readable};
    end
    if (update_counts) begin
      todo_q[v] <= todo_next;
      if (update_failed) begin
        fault_q[v]        <= (todo[2:1] == 2'b01) ? vtd_pkg::FR_FS_AD_ACCESS : vtd_pkg::FR_SS_ENTRY_ACCESS;
        result_level_q[v] <= todo[2] ? table_level_q[v] : todo[1] ? first_word_level_q[v] : second_level_q[v];
      end
    end
    if (inherits) begin
      fault_q[heir]        <= vtd_pkg::FR_NONE;
      table_q[heir]        <= table_q[p];
      result_level_q[heir] <= result_level_q[p];
      result_q[heir]       <= result_q[p];
    end
  end

  // ---- invalidation -------------------------------------------------------------------------------------------
  logic [56:12] inv_range;
  logic         inv_pages, inv_pasids;
  logic [6:0]   kills;
  logic         counting;
  assign inv_pages   = inv_scope_i == vtd_pkg::SCOPE_DOMAIN_PAGE || inv_scope_i == vtd_pkg::SCOPE_PASID_PAGE;
  assign inv_pasids  = inv_scope_i == vtd_pkg::SCOPE_PASID || inv_scope_i == vtd_pkg::SCOPE_PASID_PAGE;
  assign inv_range   = ~(45'h1FFF_FFFF_FFFF << inv_mask_i);
  always_comb begin : coverage
    covered = '0;
    if (inv_taken) begin
      for (int i = 0; i < N; i++) begin
        if (busy[i] && (inv_scope_i == vtd_pkg::SCOPE_ALL ||
                        (domain_q[i] == inv_domain_i && (!inv_pasids || pasid_q[i] == inv_pasid_i) &&
                         // Walks of other pages share what is above the leaf, which they must not cache any more;
                         // and, of a domain, a first-stage walk may come by any page.
                         (!inv_pages || !inv_leaf_only_i || (!inv_pasids && kind_q[i][1]) ||
                          ((iova_q[i][56:12] ^ inv_address_i) & ~inv_range) == '0)))) begin
          covered[i] = 1'b1;
        end
      end
    end
  end
  assign inv_ready_o = !sweep_q && (kill_q & ~follow_q) == '0;
  assign quiescent_o = (read_q | update_q | done_q) == '0 && !sweep_q && !counting;

  always_ff @(posedge clk_i or negedge rst_ni) begin : sweep
    if (!rst_ni) begin
      sweep_q     <= 1'b0;
      sweep_set_q <= '0;
    end else if (inv_taken) begin
      sweep_q     <= caches_i;
      sweep_set_q <= '0;
    end else if (sweep_q) begin
      sweep_q     <= sweep_set_q != SetW'(Sets - 1);
      sweep_set_q <= sweep_set_q + SetW'(1);
    end
  end
  always_ff @(posedge clk_i) begin : sweep_what
    if (inv_taken) begin
      inv_scope_q   <= inv_scope_i;
      inv_domain_q  <= inv_domain_i;
      inv_pasid_q   <= inv_pasid_i;
      inv_address_q <= inv_address_i[56:21];
      inv_range_q   <= inv_range[56:21];
      inv_leaf_only_q <= inv_leaf_only_i;
    end
  end

  // ---- events -------------------------------------------------------------------------------------------------
  logic [N-1:0] killed;  // begins again for an invalidation
  always_comb begin : count_kills
    killed = killed_now | (answer_killed ? mem_rsp_slot : '0) | (update_killed ? upd_rsp_slot : '0) |
             (kill_q[heir] ? heir_slot : '0);
    kills  = '0;
    if (killed != '0) begin
      for (int i = 0; i < N; i++) begin
        kills = kills + 7'(killed[i]);
      end
    end
  end
  logic [vtd_pkg::EVENTS-1:0] happens;
  always_comb begin : what_happens
    happens                               = '0;
    happens[vtd_pkg::EVENT_WALK]          = req_taken;
    happens[vtd_pkg::EVENT_READ]          = mem_taken;
    happens[vtd_pkg::EVENT_UPDATE]        = upd_rsp_valid_i && upd_rsp_swapped_i && !upd_rsp_error_i;
    happens[vtd_pkg::EVENT_RETRY]         = update_retry;
    happens[vtd_pkg::EVENT_SHARED]        = inherits;
    happens[vtd_pkg::EVENT_FAULT]         = rsp_taken && fault_q[p] != vtd_pkg::FR_NONE;
    happens[vtd_pkg::EVENT_INVALIDATION]  = inv_taken;
    happens[vtd_pkg::EVENT_FIRST_HIT2]    = req_taken && req_hit && first_level == 3'd1;
    happens[vtd_pkg::EVENT_FIRST_HIT3]    = req_taken && req_hit && first_level == 3'd2;
    happens[vtd_pkg::EVENT_FIRST_HIT4]    = req_taken && req_hit && first_level == 3'd3;
    happens[vtd_pkg::EVENT_SECOND_HIT2]   = looks && !guest_found && second_hit && second_level == 3'd1;
    happens[vtd_pkg::EVENT_SECOND_HIT3]   = looks && !guest_found && second_hit && second_level == 3'd2;
    happens[vtd_pkg::EVENT_SECOND_HIT4]   = looks && !guest_found && second_hit && second_level == 3'd3;
    happens[vtd_pkg::EVENT_GUEST_HIT]     = guest_found;
    happens[vtd_pkg::EVENT_FILL]          = fill_first || fill_second || fill_guest;
  end
  vtd_event_counters #(.Events(vtd_pkg::EVENTS)) u_events (
    .clk_i, .rst_ni, .happens_i(happens), .kills_i(kills), .pending_o(counting), .event_i, .count_o(event_count_o)
  );

`ifndef SYNTHESIS
  // What the surroundings owe the walker, and what it owes them. In proofs (FORMAL) the first are assumptions; in
  // simulation both are checked.
`ifdef FORMAL
`define VTD_OWED assume
`else
`define VTD_OWED assert
`endif
  logic [N-1:0]   updating_q;  // of those that wait: for an update
  logic           checking_q, mem_stalled_q, upd_stalled_q, rsp_stalled_q, quiet_q;
  logic [IdW-1:0] mem_id_q, upd_id_q, rsp_id_q;
  logic [51:0]    mem_addr_q, upd_addr_q, rsp_page_q;
  logic [63:0]    upd_expected_q, upd_desired_q;
  logic [7:0]     rsp_fault_q, rsp_flags_q, rsp_flags;
  assign rsp_flags = result_q[p];
  always_ff @(posedge clk_i or negedge rst_ni) begin : stalls
    if (!rst_ni) begin
      checking_q    <= 1'b0;
      mem_stalled_q <= 1'b0;
      upd_stalled_q <= 1'b0;
      rsp_stalled_q <= 1'b0;
      quiet_q       <= 1'b0;
      updating_q    <= '0;
    end else begin
      checking_q    <= 1'b1;
      mem_stalled_q <= mem_req_valid_o && !mem_req_ready_i;
      upd_stalled_q <= upd_req_valid_o && !upd_req_ready_i;
      rsp_stalled_q <= rsp_valid_o && !rsp_ready_i;
      quiet_q       <= quiescent_o && !req_taken && !inv_taken && !mem_rsp_valid_i && !upd_rsp_valid_i;
      updating_q    <= (updating_q & ~(upd_rsp_slot | (mem_taken ? mem_grant : '0))) | (upd_taken ? upd_grant : '0);
    end
  end
  always_ff @(posedge clk_i) begin : shown_before
    mem_id_q       <= mem_req_id_o;
    mem_addr_q     <= mem_req_addr_o;
    upd_id_q       <= upd_req_id_o;
    upd_addr_q     <= upd_req_addr_o;
    upd_expected_q <= upd_req_expected_o;
    upd_desired_q  <= upd_req_desired_o;
    rsp_id_q       <= rsp_id_o;
    rsp_page_q     <= rsp_page_o;
    rsp_fault_q    <= rsp_fault_o;
    rsp_flags_q    <= rsp_flags;
  end
  always_ff @(posedge clk_i) begin : contract
    if (checking_q) begin
      if (req_taken) begin
        owed_id_free: `VTD_OWED (!busy[req_id_i]);
        owed_levels: `VTD_OWED (req_kind_i == vtd_pkg::WALK_FIRST_STAGE ||
                               (req_levels_i >= 3'd3 && req_levels_i <= 3'd5));
        owed_first_levels: `VTD_OWED (!req_first || req_first_levels_i == 3'd4 || req_first_levels_i == 3'd5);
        owed_roots_aligned: `VTD_OWED (req_root_i[11:0] == '0 && req_first_root_i[11:0] == '0);
      end
      if (mem_rsp_valid_i) owed_read_waits: `VTD_OWED (wait_q[mem_rsp_id_i] && !updating_q[mem_rsp_id_i]);
      if (upd_rsp_valid_i) owed_update_waits: `VTD_OWED (wait_q[upd_rsp_id_i] && updating_q[upd_rsp_id_i]);
      if (mem_stalled_q) begin
        assert_read_stable: assert (mem_req_valid_o && mem_req_id_o == mem_id_q && mem_req_addr_o == mem_addr_q);
      end
      if (upd_stalled_q) begin
        assert_update_stable: assert (upd_req_valid_o && upd_req_id_o == upd_id_q && upd_req_addr_o == upd_addr_q &&
                                      upd_req_expected_o == upd_expected_q && upd_req_desired_o == upd_desired_q);
      end
      if (rsp_stalled_q) begin
        assert_response_stable: assert (rsp_valid_o && rsp_id_o == rsp_id_q && rsp_page_o == rsp_page_q &&
                                        rsp_fault_o == rsp_fault_q && rsp_flags == rsp_flags_q);
      end
      if (quiescent_o) assert_quiescent: assert (!mem_req_valid_o && !upd_req_valid_o && !rsp_valid_o);
      if (quiet_q) assert_stays_quiescent: assert (quiescent_o);
      assert_one_state: assert (((read_q & update_q) | (wait_q & done_q) | ((read_q | update_q) & (wait_q | done_q)) |
                                 (follow_q & (read_q | update_q | wait_q | done_q))) == '0);
      assert_killed_in_flight: assert ((kill_q & ~busy) == '0);
    end
  end
`undef VTD_OWED
`ifdef FORMAL
`include "formal/vtd_walker_properties.svh"
`endif
`endif
endmodule
