// SPDX-License-Identifier: MIT
/// The paging-structure caches with free fills, for proofs: one key, any, is looked up all the time; one invalidation,
/// any, is swept as the walker does it. Two claims, of each of the seven caches:
/// - stale_*: a hit is not of a fill from before an invalidation that covers it, from the sweep of its set on;
/// - value_*: what a hit returns was filled in for this key: bits that are the same in all such fills are so in the hit.
module vtd_caches_formal #(
  parameter integer Level2Entries = 2,
  parameter integer Level3Entries = 1,
  parameter integer Level4Entries = 1,
  parameter integer GuestEntries = 2,
  parameter integer Ways = 1,
  localparam integer Sets = ((GuestEntries > Level2Entries) ? GuestEntries : Level2Entries) / Ways,
  localparam integer SetW = (Sets > 1) ? $clog2(Sets) : 1,
  localparam integer Set2W = (Level2Entries > Ways) ? $clog2(Level2Entries / Ways) : 1,
  localparam integer Set3W = (Level3Entries > Ways) ? $clog2(Level3Entries / Ways) : 1,
  localparam integer Set4W = (Level4Entries > Ways) ? $clog2(Level4Entries / Ways) : 1,
  localparam integer SetGW = (GuestEntries > Ways) ? $clog2(GuestEntries / Ways) : 1
) (
  input logic            clk_i,
  input logic            fill_first,
  input logic            fill_second,
  input logic            fill_guest,
  input logic            fill_nested,
  input logic [2:0]      fill_level,
  input logic [15:0]     fill_domain,
  input logic [19:0]     fill_pasid,
  input logic [56:12]    fill_input,
  input logic [51:12]    fill_table,
  input logic [2:0]      fill_rights,
  input logic            sweep,
  input logic [SetW-1:0] sweep_set,
  input logic [2:0]      sweep_scope,
  input logic [15:0]     sweep_domain,
  input logic [19:0]     sweep_pasid,
  input logic [56:21]    sweep_address,
  input logic [56:21]    sweep_range,
  input logic            sweep_leaf_only,
  input logic            accept
);
  logic rst_n;
  initial rst_n = 1'b0;
  always_ff @(posedge clk_i) rst_n <= 1'b1;

  // ---- the key that is looked up; what all its fills have in common -----------------------------------------------
  (* anyconst *) logic        nested;
  (* anyconst *) logic [15:0] domain;
  (* anyconst *) logic [19:0] pasid;
  (* anyconst *) logic [56:12] first_input, second_input;
  (* anyconst *) logic [42:0] common, same;
  logic first_key, first_fill, second_fill, guest_fill;
  assign first_key = fill_nested == nested && fill_domain == domain && fill_pasid == pasid;
  // Of the page-number bits, those above the level.
  assign first_fill  = fill_first && first_key &&
                       ((fill_level == 3'd2 && fill_input[56:21] == first_input[56:21]) ||
                        (fill_level == 3'd3 && fill_input[56:30] == first_input[56:30]) ||
                        (fill_level == 3'd4 && fill_input[56:39] == first_input[56:39]));
  assign second_fill = fill_second && fill_domain == domain &&
                       ((fill_level == 3'd2 && fill_input[56:21] == second_input[56:21]) ||
                        (fill_level == 3'd3 && fill_input[56:30] == second_input[56:30]) ||
                        (fill_level == 3'd4 && fill_input[56:39] == second_input[56:39]));
  assign guest_fill  = fill_guest && fill_domain == domain && fill_input[51:12] == second_input[51:12];

  // ---- the invalidation that is watched ---------------------------------------------------------------------------
  // Its address and range are constant from the start, which costs nothing: they are free. Bit 51 of a table is set
  // in fills from before it only.
  (* anyconst *) logic [2:0]   scope;
  (* anyconst *) logic [15:0]  inv_domain;
  (* anyconst *) logic [19:0]  inv_pasid;
  (* anyconst *) logic [56:21] address;
  (* anyconst *) logic [5:0]   mask;
  (* anyconst *) logic         leaf_only;
  logic            accepted_q, sweeping_q;
  logic [SetW-1:0] set_q;
  logic [56:12]    range;
  assign range = ~(45'h1FFF_FFFF_FFFF << mask);
  always_ff @(posedge clk_i or negedge rst_n) begin : walker
    if (!rst_n) begin
      accepted_q <= 1'b0;
      sweeping_q <= 1'b0;
      set_q      <= '0;
    end else if (accept && !accepted_q) begin
      accepted_q <= 1'b1;
      sweeping_q <= 1'b1;
    end else if (sweeping_q) begin
      sweeping_q <= set_q != SetW'(Sets - 1);
      set_q      <= set_q + SetW'(1);
    end
  end
  logic [51:12] table_in;
  assign table_in = {fill_table[51] && !(accepted_q && (first_fill || second_fill || guest_fill)), fill_table[50:12]};

  logic         first_hit, second_hit, guest_hit;
  logic [2:0]   first_level, second_level, first_rights;
  logic [51:12] first_table, second_table, guest_page;
  vtd_structure_caches #(
    .Level2Entries(Level2Entries), .Level3Entries(Level3Entries), .Level4Entries(Level4Entries),
    .GuestEntries(GuestEntries), .Ways(Ways)
  ) u_caches (
    .clk_i, .rst_ni(rst_n), .enable_i(1'b1),
    .first_look_i(1'b1), .first_nested_i(nested), .first_domain_i(domain), .first_pasid_i(pasid),
    .first_input_i(first_input[56:21]), .first_levels_i(3'd5), .first_hit_o(first_hit), .first_level_o(first_level),
    .first_table_o(first_table), .first_rights_o(first_rights),
    .second_look_i(1'b1), .second_domain_i(domain), .second_input_i(second_input), .second_levels_i(3'd5),
    .second_hit_o(second_hit), .second_level_o(second_level), .second_table_o(second_table), .guest_hit_o(guest_hit),
    .guest_page_o(guest_page),
    .fill_first_i(fill_first && rst_n), .fill_second_i(fill_second && rst_n), .fill_guest_i(fill_guest && rst_n),
    .fill_nested_i(fill_nested), .fill_level_i(fill_level), .fill_domain_i(fill_domain), .fill_pasid_i(fill_pasid),
    .fill_input_i(fill_input), .fill_table_i(table_in), .fill_rights_i(fill_rights),
    .sweep_i(sweeping_q || sweep), .sweep_set_i(sweeping_q ? set_q : sweep_set),
    .sweep_scope_i(sweeping_q ? scope : sweep_scope), .sweep_domain_i(sweeping_q ? inv_domain : sweep_domain),
    .sweep_pasid_i(sweeping_q ? inv_pasid : sweep_pasid), .sweep_address_i(sweeping_q ? address : sweep_address),
    .sweep_range_i(sweeping_q ? range[56:21] : sweep_range),
    .sweep_leaf_only_i(sweeping_q ? leaf_only : sweep_leaf_only)
  );

  // ---- what VT-d 6.5 makes the invalidation drop ------------------------------------------------------------------
  logic [56:21] first_differ, second_differ;
  logic         drops_all, drops_domain, drops_page, drops_pasid, drops_pasid_page;
  assign first_differ     = (first_input[56:21] ^ address) & ~range[56:21];
  assign second_differ    = (second_input[56:21] ^ address) & ~range[56:21];
  assign drops_all        = scope == vtd_pkg::SCOPE_ALL;
  assign drops_domain     = scope == vtd_pkg::SCOPE_DOMAIN && inv_domain == domain;
  assign drops_page       = scope == vtd_pkg::SCOPE_DOMAIN_PAGE && inv_domain == domain;
  assign drops_pasid      = scope == vtd_pkg::SCOPE_PASID && inv_domain == domain && inv_pasid == pasid;
  assign drops_pasid_page = scope == vtd_pkg::SCOPE_PASID_PAGE && inv_domain == domain && inv_pasid == pasid &&
                            !leaf_only;
  logic [4:2] drops_first, drops_second;
  logic       drops_guest;
  assign drops_first[2]  = drops_all || drops_domain || drops_page || drops_pasid ||
                           (drops_pasid_page && first_differ[56:21] == '0);
  assign drops_first[3]  = drops_all || drops_domain || drops_page || drops_pasid ||
                           (drops_pasid_page && first_differ[56:30] == '0);
  assign drops_first[4]  = drops_all || drops_domain || drops_page || drops_pasid ||
                           (drops_pasid_page && first_differ[56:39] == '0);
  assign drops_second[2] = drops_all || drops_domain || (drops_page && !leaf_only && second_differ[56:21] == '0);
  assign drops_second[3] = drops_all || drops_domain || (drops_page && !leaf_only && second_differ[56:30] == '0);
  assign drops_second[4] = drops_all || drops_domain || (drops_page && !leaf_only && second_differ[56:39] == '0);
  assign drops_guest     = drops_all || drops_domain || drops_page;

  // ---- inside: Yosys joins these wires with what they name when it flattens --------------------------------------
  (* hierconn *) wire \u_caches.first_hit2 , \u_caches.first_hit3 , \u_caches.first_hit4 ;
  (* hierconn *) wire \u_caches.second_hit2 , \u_caches.second_hit3 , \u_caches.second_hit4 ;
  (* hierconn *) wire [42:0] \u_caches.first_data2 , \u_caches.first_data3 , \u_caches.first_data4 ;
  (* hierconn *) wire [51:12] \u_caches.second_data2 , \u_caches.second_data3 , \u_caches.second_data4 ;
  (* hierconn *) wire [Set2W-1:0] \u_caches.u_first2.set , \u_caches.u_second2.set ;
  (* hierconn *) wire [Set3W-1:0] \u_caches.u_first3.set , \u_caches.u_second3.set ;
  (* hierconn *) wire [Set4W-1:0] \u_caches.u_first4.set , \u_caches.u_second4.set ;
  (* hierconn *) wire [SetGW-1:0] \u_caches.u_guest.set ;

  // From the sweep of the set on.
  logic [4:2] first_swept_q, second_swept_q;
  logic       guest_swept_q;
  always_ff @(posedge clk_i or negedge rst_n) begin : sweeps
    if (!rst_n) begin
      first_swept_q  <= '0;
      second_swept_q <= '0;
      guest_swept_q  <= 1'b0;
    end else if (sweeping_q) begin
      if (set_q[Set2W-1:0] == \u_caches.u_first2.set ) first_swept_q[2] <= 1'b1;
      if (set_q[Set3W-1:0] == \u_caches.u_first3.set ) first_swept_q[3] <= 1'b1;
      if (set_q[Set4W-1:0] == \u_caches.u_first4.set ) first_swept_q[4] <= 1'b1;
      if (set_q[Set2W-1:0] == \u_caches.u_second2.set ) second_swept_q[2] <= 1'b1;
      if (set_q[Set3W-1:0] == \u_caches.u_second3.set ) second_swept_q[3] <= 1'b1;
      if (set_q[Set4W-1:0] == \u_caches.u_second4.set ) second_swept_q[4] <= 1'b1;
      if (set_q[SetGW-1:0] == \u_caches.u_guest.set ) guest_swept_q <= 1'b1;
    end
  end
  logic complete;
  assign complete = accepted_q && !sweeping_q;

  always_ff @(posedge clk_i) begin : claims
    if (rst_n) begin
      if (first_fill) given_first: assume ((({fill_rights, table_in} ^ common) & same) == '0);
      if (second_fill || guest_fill) given_second: assume (((table_in ^ common[39:0]) & same[39:0]) == '0);

      stale_first2: assert (!(first_swept_q[2] && drops_first[2] && \u_caches.first_hit2 && \u_caches.first_data2 [39]));
      stale_first3: assert (!(first_swept_q[3] && drops_first[3] && \u_caches.first_hit3 && \u_caches.first_data3 [39]));
      stale_first4: assert (!(first_swept_q[4] && drops_first[4] && \u_caches.first_hit4 && \u_caches.first_data4 [39]));
      stale_second2: assert (!(second_swept_q[2] && drops_second[2] && \u_caches.second_hit2 && \u_caches.second_data2 [51]));
      stale_second3: assert (!(second_swept_q[3] && drops_second[3] && \u_caches.second_hit3 && \u_caches.second_data3 [51]));
      stale_second4: assert (!(second_swept_q[4] && drops_second[4] && \u_caches.second_hit4 && \u_caches.second_data4 [51]));
      stale_guest: assert (!(guest_swept_q && drops_guest && guest_hit && guest_page[51]));
      stale_first: assert (!(complete && drops_first == '1 && first_hit && first_table[51]));
      stale_second: assert (!(complete && drops_second == '1 && second_hit && second_table[51]));
      stale_swept: assert (!complete || (first_swept_q == '1 && second_swept_q == '1 && guest_swept_q));
      stale_accepted: assert (accepted_q || !(sweeping_q || set_q != '0 || first_swept_q != '0 || second_swept_q != '0 || guest_swept_q));
      // While it is swept, the sets behind are done.
      stale_behind: assert (!sweeping_q || set_q == '0 || (
                            (32'(set_q) <= 32'(\u_caches.u_first2.set ) || first_swept_q[2]) &&
                            (32'(set_q) <= 32'(\u_caches.u_first3.set ) || first_swept_q[3]) &&
                            (32'(set_q) <= 32'(\u_caches.u_first4.set ) || first_swept_q[4]) &&
                            (32'(set_q) <= 32'(\u_caches.u_second2.set ) || second_swept_q[2]) &&
                            (32'(set_q) <= 32'(\u_caches.u_second3.set ) || second_swept_q[3]) &&
                            (32'(set_q) <= 32'(\u_caches.u_second4.set ) || second_swept_q[4]) &&
                            (32'(set_q) <= 32'(\u_caches.u_guest.set ) || guest_swept_q)));

      if (\u_caches.first_hit2 ) value_first2: assert (((\u_caches.first_data2 ^ common) & same) == '0);
      if (\u_caches.first_hit3 ) value_first3: assert (((\u_caches.first_data3 ^ common) & same) == '0);
      if (\u_caches.first_hit4 ) value_first4: assert (((\u_caches.first_data4 ^ common) & same) == '0);
      if (\u_caches.second_hit2 ) value_second2: assert (((\u_caches.second_data2 ^ common[39:0]) & same[39:0]) == '0);
      if (\u_caches.second_hit3 ) value_second3: assert (((\u_caches.second_data3 ^ common[39:0]) & same[39:0]) == '0);
      if (\u_caches.second_hit4 ) value_second4: assert (((\u_caches.second_data4 ^ common[39:0]) & same[39:0]) == '0);
      if (guest_hit) value_guest: assert (((guest_page ^ common[39:0]) & same[39:0]) == '0);
      if (first_hit) value_first: assert ((({first_rights, first_table} ^ common) & same) == '0);
      if (second_hit) value_second: assert (((second_table ^ common[39:0]) & same[39:0]) == '0);

      cover_first_hit: assert (!(first_hit && first_level == 3'd2 && complete));
      cover_stale_hit: assert (!(complete && guest_hit && guest_page[51]));
      cover_guest_hit: assert (!(complete && drops_guest && guest_hit));
    end
  end
endmodule
