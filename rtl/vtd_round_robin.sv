// SPDX-License-Identifier: MIT
/// Picks one of N candidates in turn. A choice that was shown and not taken is held, so what depends on it stays
/// stable under back-pressure. It never grants without a candidate.
module vtd_round_robin #(
  parameter integer N = 16,
  parameter integer IdW = 4
) (
  input  logic           clk_i,
  input  logic           rst_ni,
  input  logic [N-1:0]   candidate_i,
  /// The shown choice is taken at the next edge.
  input  logic           take_i,
  output logic           valid_o,
  output logic [IdW-1:0] id_o
);
  logic [IdW-1:0] turn_q, held_id_q, pick_above, pick_any;
  logic           held_q, found_above, found_any;

  always_comb begin : pick
    pick_above  = '0;
    pick_any    = '0;
    found_above = 1'b0;
    found_any   = 1'b0;
    for (int i = N - 1; i >= 0; i--) begin
      if (candidate_i[i]) begin
        found_any = 1'b1;
        pick_any  = IdW'(i);
        if (IdW'(i) >= turn_q) begin
          found_above = 1'b1;
          pick_above  = IdW'(i);
        end
      end
    end
  end

  assign valid_o = held_q || found_any;
  assign id_o    = held_q ? held_id_q : (found_above ? pick_above : pick_any);

  always_ff @(posedge clk_i or negedge rst_ni) begin : state
    if (!rst_ni) begin
      turn_q    <= '0;
      held_q    <= 1'b0;
      held_id_q <= '0;
    end else if (valid_o) begin
      held_q    <= !take_i;
      held_id_q <= id_o;
      if (take_i) turn_q <= (id_o == IdW'(N - 1)) ? '0 : id_o + 1'b1;
    end
  end
endmodule
