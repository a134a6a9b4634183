// SPDX-License-Identifier: MIT
/// One paging-structure cache: set-associative, replaced in turn. Looked up and filled any time; swept set by set
/// after an invalidation. What it returns was filled and not swept since.
module vtd_structure_cache #(
  /// Entries in all, a multiple of Ways; Entries / Ways is a power of two.
  parameter integer Entries = 64,
  parameter integer Ways = 4,
  /// Who the entry belongs to, and the part of the input address that it stands for.
  parameter integer KeyW = 16,
  parameter integer PrefixW = 36,
  parameter integer DataW = 40,
  localparam integer Sets = Entries / Ways,
  localparam integer SetW = (Sets > 1) ? $clog2(Sets) : 1,
  localparam integer WayW = (Ways > 1) ? $clog2(Ways) : 1,
  localparam integer EntryW = (Entries > 1) ? $clog2(Entries) : 1
) (
  input  logic               clk_i,
  input  logic               rst_ni,

  input  logic               look_i,
  input  logic [KeyW-1:0]    key_i,
  input  logic [PrefixW-1:0] prefix_i,
  output logic               hit_o,
  output logic [DataW-1:0]   data_o,

  input  logic               fill_i,
  input  logic [KeyW-1:0]    fill_key_i,
  input  logic [PrefixW-1:0] fill_prefix_i,
  input  logic [DataW-1:0]   fill_data_i,

  /// Entries of this set that agree with key and prefix in the bits that the masks name are dropped.
  input  logic               sweep_i,
  input  logic [SetW-1:0]    sweep_set_i,
  input  logic [KeyW-1:0]    sweep_key_i,
  input  logic [KeyW-1:0]    sweep_key_mask_i,
  input  logic [PrefixW-1:0] sweep_prefix_i,
  input  logic [PrefixW-1:0] sweep_prefix_mask_i
);
  // Domains that use the same addresses do not share sets.
  logic [SetW-1:0] set, fill_set;
  assign set      = (Sets > 1) ? prefix_i[SetW-1:0] ^ key_i[SetW-1:0] : '0;
  assign fill_set = (Sets > 1) ? fill_prefix_i[SetW-1:0] ^ fill_key_i[SetW-1:0] : '0;

  // Entry of way w in a set.
  logic [Ways-1:0]    valid_q  [Sets];
  logic [KeyW-1:0]    key_q    [Entries];
  logic [PrefixW-1:0] prefix_q [Entries];
  logic [DataW-1:0]   data_q   [Entries];
  logic [WayW-1:0]    turn_q   [Sets];

  logic [EntryW-1:0] first_way, fill_first_way, sweep_first_way, fill_entry;
  assign first_way       = EntryW'(set) * EntryW'(Ways);
  assign fill_first_way  = EntryW'(fill_set) * EntryW'(Ways);
  assign sweep_first_way = EntryW'(sweep_set_i) * EntryW'(Ways);

  // Everything is compared only when it is asked for: that is faster to simulate.
  always_comb begin : lookup
    hit_o  = 1'b0;
    data_o = '0;
    if (look_i) begin
      for (int w = 0; w < Ways; w++) begin
        if (valid_q[set][w] && key_q[first_way + EntryW'(w)] == key_i && prefix_q[first_way + EntryW'(w)] == prefix_i) begin
          hit_o  = 1'b1;
          data_o = data_q[first_way + EntryW'(w)];
        end
      end
    end
  end

  // A prefix that is there already keeps its way; else it takes the way whose turn it is.
  logic            there;
  logic [WayW-1:0] fill_way;
  always_comb begin : victim
    there    = 1'b0;
    fill_way = '0;
    if (fill_i) begin
      fill_way = turn_q[fill_set];
      for (int w = 0; w < Ways; w++) begin
        if (valid_q[fill_set][w] && key_q[fill_first_way + EntryW'(w)] == fill_key_i &&
            prefix_q[fill_first_way + EntryW'(w)] == fill_prefix_i) begin
          there    = 1'b1;
          fill_way = WayW'(w);
        end
      end
    end
  end
  assign fill_entry = fill_first_way + EntryW'(fill_way);

  logic [Ways-1:0] swept;
  always_comb begin : sweep
    swept = '0;
    if (sweep_i) begin
      for (int w = 0; w < Ways; w++) begin
        swept[w] = ((key_q[sweep_first_way + EntryW'(w)] ^ sweep_key_i) & sweep_key_mask_i) == '0 &&
                   ((prefix_q[sweep_first_way + EntryW'(w)] ^ sweep_prefix_i) & sweep_prefix_mask_i) == '0;
      end
    end
  end

  always_ff @(posedge clk_i or negedge rst_ni) begin : state
    if (!rst_ni) begin
      for (int s = 0; s < Sets; s++) begin
        valid_q[s] <= '0;
        turn_q[s]  <= '0;
      end
    end else begin
      // A fill of the set that is swept stays: it brings what is not covered.
      if (sweep_i) valid_q[sweep_set_i] <= valid_q[sweep_set_i] & ~swept;
      if (fill_i) begin
        valid_q[fill_set] <= (valid_q[fill_set] & ~((sweep_i && sweep_set_i == fill_set) ? swept : '0)) |
                             (Ways'(1) << fill_way);
        if (!there) turn_q[fill_set] <= (turn_q[fill_set] == WayW'(Ways - 1)) ? '0 : turn_q[fill_set] + 1'b1;
      end
    end
  end
  always_ff @(posedge clk_i) begin : contents
    if (fill_i) begin
      key_q[fill_entry]    <= fill_key_i;
      prefix_q[fill_entry] <= fill_prefix_i;
      data_q[fill_entry]   <= fill_data_i;
    end
  end
endmodule
