# SPDX-License-Identifier: MIT
# Run by GTKWave for waves/open and waves/shot. Chooses the part of the wave that a view is about, unless VTD_FROM or
# VTD_TO (ns) say which; then marks the blackout. VTD_VIEW names the view, VTD_READY a file to create when it stands.

# Times and values of a signal, as a flat list; empty if the wave does not have it.
proc changes_of {signal} {
  if {[catch {gtkwave::signalChangeList $signal} list]} { return {} }
  set changes {}
  # The list ends with a value that is not known, at the end of time.
  foreach {time value} $list {
    if {$time <= [gtkwave::getMaxTime] && ![string match {*[xz]} $value]} { lappend changes $time $value }
  }
  return $changes
}

# The traffic, from just before it starts to just after the last phase has begun.
proc live_update_range {} {
  set begin -1
  set end [gtkwave::getMaxTime]
  foreach {time name} [changes_of {tlm.platform.phase[255:0]}] { set last $time }
  foreach {time walks} [changes_of {tlm.unit0.walks_in_flight[7:0]}] {
    if {$walks > 1} { set begin $time; break }
  }
  if {$begin < 0 || ![info exists last] || $last <= $begin} { return [list 0 $end] }
  set margin [expr {($last - $begin) / 25}]
  set stop [expr {$last + 3 * $margin}]
  return [list [expr {max(0, $begin - $margin)}] [expr {min($end, $stop)}]]
}

# The first moment with most walks in flight.
proc walker_range {} {
  set most 0
  set at 0
  foreach {time walks} [changes_of {tlm.unit0.walks_in_flight[7:0]}] {
    if {$walks > $most} { set most $walks; set at $time }
  }
  return [list [expr {max(0, $at - 6000)}] [expr {$at + 104000}]]
}

# Named markers around every phase of that name, as many as there are letters for.
proc mark_blackout {} {
  set letters {A B C D E F}
  set inside 0
  foreach {time name} [changes_of {tlm.platform.phase[255:0]}] {
    set now [string match "*blackout*" $name]
    if {$now != $inside && [llength $letters] > 0} {
      gtkwave::setNamedMarker [lindex $letters 0] $time [expr {$now ? "blackout" : "end of blackout"}]
      set letters [lrange $letters 1 end]
    }
    set inside $now
  }
}

proc wanted {name} { expr {[info exists ::env($name)] ? $::env($name) : ""} }

set range [expr {[info commands "[wanted VTD_VIEW]_range"] ne "" ? [[wanted VTD_VIEW]_range] : [list 0 [gtkwave::getMaxTime]]}]
if {[wanted VTD_FROM] ne ""} { lset range 0 [expr {wide([wanted VTD_FROM]) * 1000}] }
if {[wanted VTD_TO] ne ""} { lset range 1 [expr {wide([wanted VTD_TO]) * 1000}] }
mark_blackout
gtkwave::setZoomRangeTimes {*}$range
if {[wanted VTD_READY] ne ""} { close [open [wanted VTD_READY] w] }
