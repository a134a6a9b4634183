// SPDX-License-Identifier: MIT
/// What can be said of a walk before anything is read: its address within the width, its top tables within reach.
/// Combinational; the twin of PagingWalk::start() in tlm/core/paging_walk.cpp.
module vtd_request_check (
  input  logic [5:0]  haw_i,
  /// MGAW + 1.
  input  logic [5:0]  gaw_i,
  input  logic        valid_i,
  input  logic [1:0]  kind_i,
  input  logic [63:0] iova_i,
  input  logic [63:0] root_i,
  input  logic [2:0]  levels_i,
  input  logic [63:0] first_root_i,
  input  logic [2:0]  first_levels_i,
  output logic [7:0]  fault_o
);
  logic first, nested, canonical, beyond_tables, beyond_second, beyond_guest, root_beyond_haw, first_root_beyond_haw;
  logic first_root_beyond_second;
  logic [5:0] width_of_tables, second_width;

  always_comb begin : check
    {
      first, nested, canonical, beyond_tables, beyond_second, beyond_guest, root_beyond_haw, first_root_beyond_haw,
      first_root_beyond_second, width_of_tables, second_width
    } = '0;
    fault_o = vtd_pkg::FR_NONE;
    if (valid_i) begin
      first  = kind_i[1];
      nested = kind_i == vtd_pkg::WALK_NESTED;

      // 12 + 9 * levels; five levels are 57.
      width_of_tables = (levels_i == 3'd3) ? 6'd39 : (levels_i == 3'd4) ? 6'd48 : 6'd57;
      second_width    = (gaw_i < width_of_tables) ? gaw_i : width_of_tables;
      beyond_tables   = (iova_i >> width_of_tables) != '0;
      beyond_second   = (iova_i >> second_width) != '0;
      root_beyond_haw = (root_i >> haw_i) != '0;

      canonical = (first_levels_i == 3'd4) ? (iova_i[63:47] == '0 || iova_i[63:47] == '1)
                                           : (iova_i[63:56] == '0 || iova_i[63:56] == '1);
      beyond_guest = (first_levels_i == 3'd4) ? ((iova_i[47:0] >> gaw_i) != '0) : ((iova_i[56:0] >> gaw_i) != '0);
      first_root_beyond_haw    = (first_root_i >> haw_i) != '0;
      first_root_beyond_second = (first_root_i >> second_width) != '0;

      if (!first) begin
        if (kind_i == vtd_pkg::WALK_LEGACY) begin
          if (beyond_tables) fault_o = vtd_pkg::FR_ADDRESS_BEYOND_WIDTH;
          else if (root_beyond_haw) fault_o = vtd_pkg::FR_PAGING_ENTRY_ACCESS;
        end else begin
          if (beyond_second) fault_o = vtd_pkg::FR_SS_BEYOND_WIDTH;
          else if (root_beyond_haw) fault_o = vtd_pkg::FR_SS_ROOT_ACCESS;
        end
      end else begin
        if (!canonical) fault_o = vtd_pkg::FR_NOT_CANONICAL;
        else if (beyond_guest) fault_o = vtd_pkg::FR_FS_BEYOND_WIDTH;
        else if (nested && first_root_beyond_second) fault_o = vtd_pkg::FR_NESTED_FS_BEYOND_WIDTH;
        else if (nested && root_beyond_haw) fault_o = vtd_pkg::FR_SS_ROOT_ACCESS;
        else if (!nested && first_root_beyond_haw) fault_o = vtd_pkg::FR_FS_ROOT_ACCESS;
      end
    end
  end
endmodule
