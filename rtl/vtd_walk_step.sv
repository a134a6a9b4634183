// SPDX-License-Identifier: MIT
/// What an entry that arrived means for its walk: it ends, with a result or a fault, or goes on with another read;
/// entries may have to be updated before. Combinational; the twin of PagingWalk::consume() in
/// tlm/core/paging_walk.cpp.
///
/// A walk is in one of two steps: it reads a first-stage entry (`first_i`), or a second-stage entry that translates
/// the address of a first-stage entry (`for_table_i`) or the final one.
module vtd_walk_step (
  // ---- profile ----
  input  logic [5:0]   haw_i,
  input  logic [5:0]   gaw_i,
  input  logic         superpage_2m_i,
  input  logic         superpage_1g_i,
  input  logic         first_stage_1g_i,
  input  logic         snoop_control_i,
  input  logic         device_tlb_i,
  input  logic         zero_length_read_i,

  // ---- the entry ----
  input  logic         valid_i,
  input  logic [63:0]  entry_i,
  input  logic         error_i,

  // ---- the request ----
  input  logic [1:0]   kind_i,
  input  logic [56:0]  iova_i,
  input  logic [2:0]   levels_i,
  input  logic [2:0]   first_levels_i,
  input  logic [1:0]   access_i,
  input  logic         privileged_i,
  input  logic         execute_i,
  input  logic         report_rights_i,
  input  logic         write_protect_i,
  input  logic         accessed_dirty_i,
  input  logic         extended_accessed_i,
  input  logic         walk_snoop_i,

  // ---- where the walk is ----
  input  logic         first_i,
  input  logic         for_table_i,
  input  logic [2:0]   level_i,        // of the second stage
  input  logic [2:0]   first_level_i,
  input  logic [51:0]  guest_i,        // nested: input of the second stage
  input  logic         path_r_i,       // of the second stage
  input  logic         path_w_i,
  input  logic         first_w_i,      // of the first stage
  input  logic         first_u_i,
  input  logic         first_x_i,
  input  logic [63:0]  first_entry_i,  // the first-stage leaf, while the second stage translates its page
  input  logic [63:0]  table_entry_i,  // nested: the leaf that maps the table of the first-stage entry
  input  logic         table_w_i,      // and whether its path may be written

  // ---- what follows ----
  output logic [7:0]   fault_o,
  output logic         ends_o,         // with a result or a fault
  output logic         leaf_o,         // of the stage in work
  output logic         next_first_o,   // the next read is that of a first-stage entry
  output logic         translate_o,    // the next read is the first of a second-stage translation of guest_o
  output logic         for_table_o,
  output logic [2:0]   level_o,
  output logic [2:0]   first_level_o,
  output logic [51:0]  guest_o,
  output logic [51:12] table_o,        // of the next read, or the page of the result
  output logic         path_r_o,
  output logic         path_w_o,
  output logic         first_w_o,
  output logic         first_u_o,
  output logic         first_x_o,
  output logic         update_table_o, // D of the leaf that maps the table
  output logic         update_first_o, // the first-stage entry
  output logic         update_second_o, // the second-stage entry that arrived
  output logic         dirty_o,        // updates set D, beside A

  // ---- the result, or the level of the fault ----
  output logic [2:0]   result_level_o,
  output logic         readable_o,
  output logic         writable_o,
  output logic         supervisor_writable_o,
  output logic         clean_o
);
  logic         legacy, nested, second, top, final_entry, use_ad;
  logic         present, reserved, leaf;
  logic [2:0]   entry_level;
  logic [29:12] walked;
  logic [51:12] mapped;
  logic [51:0]  next_first_address;
  logic [2:0]   next_first_level;
  logic [5:0]   width_of_tables, second_width;
  logic [51:0]  guest_next;
  logic         beyond_second;
  logic         writes, zero_length, readable, writable, supervisor_writable, may_write, user_ok, in_interrupt_range;
  logic         lacks_write, lacks_read;
  logic [7:0]   lacking;
  logic         dirty, updates_here, first_lacks, second_lacks, table_lacks;
  logic [63:0]  first_word;
  logic [7:0]   fault, later_fault;
  logic         absent;
  logic [2:0]   page_level;

  assign nested           = kind_i == vtd_pkg::WALK_NESTED;
  assign entry_level      = first_i ? first_level_i : level_i;
  assign next_first_level = first_level_i - 3'd1;
  vtd_entry_check u_entry_check (
    .entry_i, .level_i(entry_level), .first_i, .nested_i(first_i && nested), .haw_i, .superpage_2m_i, .superpage_1g_i,
    .first_stage_1g_i, .snoop_control_i, .device_tlb_i, .present_o(present), .reserved_o(reserved), .leaf_o(leaf)
  );
  vtd_entry_address u_next_first (
    .table_i(entry_i[51:12]), .input_i(iova_i[56:12]), .level_i(next_first_level), .address_o(next_first_address)
  );

  // One block, skipped when nothing has arrived: that is faster to simulate.
  always_comb begin : step
    {
      legacy, second, top, final_entry, use_ad, walked, mapped, width_of_tables, second_width, guest_next,
      beyond_second, writes, zero_length, readable, writable, supervisor_writable, may_write, user_ok,
      in_interrupt_range, lacks_write, lacks_read, lacking, dirty, updates_here, first_lacks, second_lacks,
      table_lacks, first_word, fault, later_fault, absent, page_level, fault_o, ends_o, leaf_o, next_first_o,
      translate_o, for_table_o, level_o, first_level_o, guest_o, table_o, path_r_o, path_w_o, first_w_o, first_u_o,
      first_x_o, update_table_o, update_first_o, update_second_o, dirty_o, result_level_o, readable_o, writable_o,
      supervisor_writable_o, clean_o
    } = '0;
    if (valid_i) begin
      legacy = kind_i == vtd_pkg::WALK_LEGACY;
      second = kind_i != vtd_pkg::WALK_FIRST_STAGE;
      use_ad = accessed_dirty_i && !legacy;
      top    = first_i ? first_level_i == first_levels_i : level_i == levels_i;

      // ---- one entry ----------------------------------------------------------------------------------------------
      leaf_o    = leaf;
      path_r_o  = path_r_i && (first_i || entry_i[vtd_pkg::SS_R]);
      path_w_o  = path_w_i && (first_i || entry_i[vtd_pkg::SS_W]);
      first_w_o = first_w_i && (!first_i || entry_i[vtd_pkg::FS_RW]);
      first_u_o = first_u_i && (!first_i || entry_i[vtd_pkg::FS_US]);
      first_x_o = first_x_i && (!first_i || !entry_i[vtd_pkg::FS_XD]);
      final_entry = leaf && (first_i ? !nested : !for_table_i);

      // ---- addresses ----------------------------------------------------------------------------------------------
      // Where the leaf maps the input address to; the input address fills what is below the page.
      walked = (first_i || !nested) ? iova_i[29:12] : guest_i[29:12];
      mapped = {entry_i[51:30], (entry_level >= 3'd3) ? walked[29:21] : entry_i[29:21],
                (entry_level >= 3'd2) ? walked[20:12] : entry_i[20:12]};
      width_of_tables = (levels_i == 3'd3) ? 6'd39 : (levels_i == 3'd4) ? 6'd48 : 6'd57;
      second_width    = (gaw_i < width_of_tables) ? gaw_i : width_of_tables;
      guest_next      = leaf ? {mapped, iova_i[11:0]} : next_first_address;
      beyond_second   = (guest_next >> second_width) != '0;

      // ---- rights of the whole path, at the final leaf ------------------------------------------------------------
      writes              = access_i[0];
      zero_length         = access_i == vtd_pkg::ACCESS_ZERO_LENGTH_READ;
      readable            = !second || path_r_o;
      writable            = first_w_o && (!second || path_w_o);
      supervisor_writable = !second || path_w_o;
      may_write           = (privileged_i && !write_protect_i) ? supervisor_writable : writable;
      user_ok             = privileged_i || first_u_o;
      in_interrupt_range  = mapped[51:20] == 32'h0000_0FEE;

      lacks_write = writes && !(legacy ? path_w_o : may_write);
      lacks_read  = access_i != vtd_pkg::ACCESS_WRITE && !readable &&
                    !(zero_length && zero_length_read_i && (legacy ? path_w_o : may_write));

      lacking = vtd_pkg::FR_NONE;
      if (!user_ok) lacking = vtd_pkg::FR_USER_PRIVILEGE;
      else if (execute_i && !first_x_o) lacking = vtd_pkg::FR_EXECUTE_PERMISSION;
      else if (lacks_write) lacking = vtd_pkg::FR_SM_WRITE_PERMISSION;
      else if (lacks_read) lacking = vtd_pkg::FR_SM_READ_PERMISSION;

      // ---- A and D ------------------------------------------------------------------------------------------------
      // Which entries lack what they need: the first-stage one that arrived, or the leaf kept; the second-stage one that
      // arrived; the one that maps the table of the first-stage one.
      first_word   = first_i ? entry_i : first_entry_i;
      dirty        = final_entry && writes && user_ok && may_write;
      updates_here = !final_entry || lacking == vtd_pkg::FR_NONE || (user_ok && (readable || may_write));
      first_lacks  = kind_i[1] && updates_here && (final_entry || (first_i && !leaf)) &&
                     (!first_word[vtd_pkg::FS_A] || (extended_accessed_i && !first_word[vtd_pkg::FS_EA]) ||
                      (dirty && !first_word[vtd_pkg::FS_D]));
      second_lacks = use_ad && !first_i && updates_here &&
                     (!entry_i[vtd_pkg::SS_A] || (dirty && !entry_i[vtd_pkg::SS_D]));
      table_lacks  = first_lacks && nested && use_ad &&
                     !(table_entry_i[vtd_pkg::SS_A] && table_entry_i[vtd_pkg::SS_D]);

      // ---- verdict ------------------------------------------------------------------------------------------------
      // Faults of the entry itself, in order; then of what the walk would do next, which comes after the updates.
      absent      = !present || (!first_i && !path_r_o && !path_w_o);
      fault       = vtd_pkg::FR_NONE;
      later_fault = vtd_pkg::FR_NONE;
      if (legacy) begin
        if (error_i) fault = vtd_pkg::FR_PAGING_ENTRY_ACCESS;
        else if (!present) fault = writes ? vtd_pkg::FR_WRITE_PERMISSION : vtd_pkg::FR_READ_PERMISSION;
        else if (reserved) fault = vtd_pkg::FR_PAGING_ENTRY_RESERVED;
        else if (lacks_write) fault = vtd_pkg::FR_WRITE_PERMISSION;
        else if (lacks_read) fault = vtd_pkg::FR_READ_PERMISSION;
      end else begin
        if (error_i) begin
          if (first_i) fault = top ? vtd_pkg::FR_FS_ROOT_ACCESS : vtd_pkg::FR_FS_ENTRY_ACCESS;
          else fault = top ? vtd_pkg::FR_SS_ROOT_ACCESS : vtd_pkg::FR_SS_ENTRY_ACCESS;
        end else if (present && reserved) begin
          fault = first_i ? vtd_pkg::FR_FS_RESERVED : vtd_pkg::FR_SS_RESERVED;
        end else if (absent) begin
          if (first_i) fault = vtd_pkg::FR_FS_NOT_PRESENT;
          else if (!for_table_i) fault = vtd_pkg::FR_SS_NOT_PRESENT;
          else fault = (first_level_i == first_levels_i) ? vtd_pkg::FR_NESTED_FS_ROOT_READ
                                                         : vtd_pkg::FR_NESTED_FS_TABLE_READ;
        end else if (leaf && !first_i && for_table_i && !path_r_o) begin
          fault = (first_level_i == first_levels_i) ? vtd_pkg::FR_NESTED_FS_ROOT_READ : vtd_pkg::FR_NESTED_FS_TABLE_READ;
        end else if (leaf && first_i && nested && beyond_second) begin
          fault = vtd_pkg::FR_SS_BEYOND_WIDTH;
        end else if (final_entry && lacking != vtd_pkg::FR_NONE && !report_rights_i) begin
          fault = lacking;
        end else if (final_entry && in_interrupt_range) begin
          fault = vtd_pkg::FR_SM_INTERRUPT_RANGE;
        end else if (first_lacks && !walk_snoop_i) begin
          fault = vtd_pkg::FR_FS_AD_NO_SNOOP;
        end else if (first_lacks && nested && !table_w_i) begin
          fault = vtd_pkg::FR_NESTED_AD_WRITE;
        end else if (second_lacks && !walk_snoop_i) begin
          fault = vtd_pkg::FR_SS_AD_NO_SNOOP;
        end else if (!leaf && first_i && nested && beyond_second) begin
          later_fault = vtd_pkg::FR_NESTED_FS_BEYOND_WIDTH;
        end
      end
      fault_o = fault | later_fault;  // at most one is set
      ends_o  = fault_o != vtd_pkg::FR_NONE || final_entry;

      update_table_o  = fault == vtd_pkg::FR_NONE && table_lacks;
      update_first_o  = fault == vtd_pkg::FR_NONE && first_lacks;
      update_second_o = fault == vtd_pkg::FR_NONE && second_lacks;
      dirty_o         = dirty;

      // ---- the next read ------------------------------------------------------------------------------------------
      // First stage: its next entry, or, nested, the translation of what it says. Second stage: its next entry, or the
      // first-stage entry whose address it has translated.
      next_first_o  = first_i ? !nested : leaf;
      translate_o   = first_i && nested;
      for_table_o   = first_i ? !leaf : for_table_i;
      guest_o       = translate_o ? guest_next : guest_i;
      level_o       = (first_i || leaf) ? level_i : level_i - 3'd1;
      first_level_o = (first_i && !leaf) ? next_first_level : first_level_i;

      // ---- the result ---------------------------------------------------------------------------------------------
      page_level     = (nested && first_level_i < entry_level) ? first_level_i : entry_level;
      table_o        = entry_i[51:12];
      result_level_o = entry_level;
      if (fault_o == vtd_pkg::FR_NONE && final_entry) begin
        table_o        = {mapped[51:30], (page_level >= 3'd3) ? 9'd0 : mapped[29:21],
                          (page_level >= 3'd2) ? 9'd0 : mapped[20:12]};
        result_level_o = page_level;
      end else if (leaf && !first_i) begin
        table_o = mapped;  // the page that holds the first-stage table
      end
      if (later_fault != vtd_pkg::FR_NONE) result_level_o = next_first_level;
      readable_o            = readable;
      writable_o            = writable;
      supervisor_writable_o = supervisor_writable || legacy;
      clean_o               = !legacy && updates_here && !dirty &&
                              ((kind_i[1] && !first_word[vtd_pkg::FS_D]) || (second && use_ad && !entry_i[vtd_pkg::SS_D]));
    end
  end
endmodule
