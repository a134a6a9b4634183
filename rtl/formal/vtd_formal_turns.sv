// SPDX-License-Identifier: MIT
/// For proofs: how many turns of a vtd_round_robin slot Me waits for, its own included, if it is a candidate.
module vtd_formal_turns #(
  parameter integer N = 2,
  parameter integer Me = 0
) (
  input  logic [N-1:0] turn_i,
  input  logic [N-1:0] held_i,
  output logic [15:0]  turns_o
);
  // The turn goes on behind the choice that is held.
  logic [N-1:0] from;
  assign from = (held_i != '0) ? ~(held_i | (held_i - N'(1))) : turn_i;
  always_comb begin : count
    turns_o = (held_i != '0) ? 16'd2 : 16'd1;
    for (int i = 0; i < N; i++) begin
      if (from[i] && (i < Me || !from[Me])) turns_o = turns_o + 16'd1;
      if (!from[i] && i < Me && !from[Me]) turns_o = turns_o + 16'd1;
    end
    if (held_i[Me]) turns_o = 16'd1;
  end
endmodule
