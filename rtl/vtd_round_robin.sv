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
  output logic [IdW-1:0] id_o,
  /// The same choice, one bit each; zero without one.
  output logic [N-1:0]   grant_o
);
  logic [N-1:0] turn_q, held_q;  // candidates from the turn on; the choice that is held
  logic [N-1:0] ahead, pool;

  assign ahead   = candidate_i & turn_q;
  assign pool    = (held_q != '0) ? held_q : (ahead != '0) ? ahead : candidate_i;
  assign grant_o = pool & (~pool + N'(1));
  assign valid_o = pool != '0;

  for (genvar b = 0; b < IdW; b++) begin : gen_id
    logic [N-1:0] column;
    for (genvar i = 0; i < N; i++) begin : gen_column
      assign column[i] = ((i >> b) & 1) != 0;
    end
    assign id_o[b] = (grant_o & column) != '0;
  end

  always_ff @(posedge clk_i or negedge rst_ni) begin : state
    if (!rst_ni) begin
      turn_q <= '1;
      held_q <= '0;
    end else if (valid_o) begin
      held_q <= take_i ? '0 : grant_o;
      if (take_i) turn_q <= ~(grant_o | (grant_o - N'(1)));
    end
  end
endmodule
