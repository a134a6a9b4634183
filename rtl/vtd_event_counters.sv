// SPDX-License-Identifier: MIT
/// One 32-bit counter for each event of vtd_pkg; they wrap. Nothing counts by itself.
module vtd_event_counters #(
  parameter integer Events = 16
) (
  input  logic              clk_i,
  input  logic              rst_ni,
  input  logic [Events-1:0] happens_i,
  /// Walks that begin again for an invalidation, several at once; counted as EVENT_KILL, one cycle later.
  input  logic [6:0]        kills_i,
  /// Something is still to be counted.
  output logic              pending_o,
  input  logic [3:0]        event_i,
  output logic [31:0]       count_o
);
  logic [31:0] count_q [Events];
  logic [6:0]  kills_q;
  assign count_o   = count_q[event_i];
  assign pending_o = kills_q != '0;
  always_ff @(posedge clk_i or negedge rst_ni) begin : count
    if (!rst_ni) begin
      kills_q <= '0;
      for (int i = 0; i < Events; i++) begin
        count_q[i] <= '0;
      end
    end else begin
      kills_q <= kills_i;
      for (int i = 0; i < Events; i++) begin
        if (happens_i[i]) count_q[i] <= count_q[i] + 32'd1;
      end
      if (kills_q != '0) count_q[vtd_pkg::EVENT_KILL] <= count_q[vtd_pkg::EVENT_KILL] + 32'(kills_q);
    end
  end
endmodule
