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
  localparam integer WayW = (Ways > 1) ? $clog2(Ways) : 1
) (
  input  logic               clk_i,
  input  logic               rst_ni,

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

  // A prefix that is there already keeps its way; else it takes the way whose turn it is.
  logic [WayW-1:0] turn_q [Sets];
  logic [Ways-1:0] hit, there, fill_way;
  assign fill_way = (there != '0) ? there : Ways'(1) << turn_q[fill_set];

  always_ff @(posedge clk_i or negedge rst_ni) begin : turns
    if (!rst_ni) begin
      for (int s = 0; s < Sets; s++) begin
        turn_q[s] <= '0;
      end
    end else if (fill_i && there == '0) begin
      turn_q[fill_set] <= (turn_q[fill_set] == WayW'(Ways - 1)) ? '0 : turn_q[fill_set] + 1'b1;
    end
  end

  logic [DataW-1:0] data [Ways];
  assign hit_o = hit != '0;
  always_comb begin : merge  // at most one way hits
    data_o = '0;
    for (int w = 0; w < Ways; w++) begin
      if (hit[w]) data_o = data_o | data[w];
    end
  end

  for (genvar w = 0; w < Ways; w++) begin : gen_way
    logic [Sets-1:0]    valid_q;
    logic [KeyW-1:0]    key_q    [Sets];
    logic [PrefixW-1:0] prefix_q [Sets];
    logic [DataW-1:0]   data_q   [Sets];
    logic               swept;

    assign hit[w]    = valid_q[set] && key_q[set] == key_i && prefix_q[set] == prefix_i;
    assign data[w]   = data_q[set];
    assign there[w]  = valid_q[fill_set] && key_q[fill_set] == fill_key_i && prefix_q[fill_set] == fill_prefix_i;
    assign swept     = ((key_q[sweep_set_i] ^ sweep_key_i) & sweep_key_mask_i) == '0 &&
                       ((prefix_q[sweep_set_i] ^ sweep_prefix_i) & sweep_prefix_mask_i) == '0;

    always_ff @(posedge clk_i or negedge rst_ni) begin : state
      if (!rst_ni) begin
        valid_q <= '0;
      end else begin
        if (sweep_i && swept) valid_q[sweep_set_i] <= 1'b0;
        if (fill_i && fill_way[w]) valid_q[fill_set] <= 1'b1;
      end
    end
    always_ff @(posedge clk_i) begin : contents
      if (fill_i && fill_way[w]) begin
        key_q[fill_set]    <= fill_key_i;
        prefix_q[fill_set] <= fill_prefix_i;
        data_q[fill_set]   <= fill_data_i;
      end
    end
  end
endmodule
