// SPDX-License-Identifier: MIT
/// Byte address of the paging entry that an input address selects in a table: nine index bits a level.
module vtd_entry_address (
  /// Page number of the table.
  input  logic [51:12] table_i,
  input  logic [56:12] input_i,
  /// 1 to 5.
  input  logic [2:0]   level_i,
  output logic [51:0]  address_o
);
  logic [8:0] index;
  always_comb begin : select
    unique case (level_i)
      3'd1:    index = input_i[20:12];
      3'd2:    index = input_i[29:21];
      3'd3:    index = input_i[38:30];
      3'd4:    index = input_i[47:39];
      default: index = input_i[56:48];
    endcase
  end
  assign address_o = {table_i, index, 3'b000};
endmodule
