// SPDX-License-Identifier: MIT
#include "tlm/unit/rtl_walker.h"

#include <verilated.h>
#include <verilated_fst_c.h>

#include <stdexcept>

#if VM_COVERAGE
#include <fmt/format.h>
#include <unistd.h>
#include <verilated_cov.h>

#include <cstdlib>
#endif

#include VTD_RTL_HEADER
#include VTD_RTL_ROOT_HEADER
#include "tlm/spec/field.h"

namespace vtd {
namespace {

using Model = VTD_RTL_MODEL;

// Everything of the trace hierarchy.
constexpr int kAllLevels = 99;

}  // namespace

struct RtlWalker::Impl {
  Impl(const WalkerConfig& c, std::uint32_t seed, const std::string& name) : config(c), model(&context, name.c_str()) {
    context.randReset(2);
    context.randSeed(static_cast<int>(seed));
    context.traceEverOn(true);
    context.fatalOnError(false);
  }

  /// The model's parts take leave of the thread's context, which is that of the model made last.
  ~Impl() { Verilated::threadContextp(&context); }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  void set_profile() {
    model.haw_i = static_cast<CData>(config.host_address_width);
    model.gaw_i = static_cast<CData>(config.guest_address_width);
    model.superpage_2m_i = config.superpage_2m;
    model.superpage_1g_i = config.superpage_1g;
    model.first_stage_1g_i = config.first_stage_1g;
    model.snoop_control_i = config.snoop_control;
    model.device_tlb_i = config.device_tlb;
    model.zero_length_read_i = config.zero_length_read;
    model.caches_i = config.structure_caches;
    model.sharing_i = config.sharing;
  }

  void drive(const WalkerInputs& in) {
    model.req_valid_i = in.request != nullptr;
    if (in.request != nullptr) drive(*in.request);
    model.mem_rsp_valid_i = in.memory_response != nullptr;
    if (in.memory_response != nullptr) {
      model.mem_rsp_id_i = in.memory_response->id;
      model.mem_rsp_data_i = in.memory_response->data;
      model.mem_rsp_error_i = in.memory_response->error;
    }
    model.mem_req_ready_i = in.memory_ready;
    model.upd_rsp_valid_i = in.update_response != nullptr;
    if (in.update_response != nullptr) {
      model.upd_rsp_id_i = in.update_response->id;
      model.upd_rsp_swapped_i = in.update_response->swapped;
      model.upd_rsp_error_i = in.update_response->error;
    }
    model.upd_req_ready_i = in.update_ready;
    model.rsp_ready_i = in.response_ready;
    model.inv_valid_i = in.invalidation != nullptr;
    if (in.invalidation != nullptr) drive(*in.invalidation);
    model.drain_i = in.drain;
  }

  void drive(const WalkRequest& r) {
    model.req_id_i = r.id;
    model.req_kind_i = static_cast<CData>(r.kind);
    model.req_domain_i = r.domain.value;
    model.req_pasid_i = r.pasid.value & 0xF'FFFF;
    model.req_iova_i = r.iova;
    model.req_root_i = r.root;
    model.req_levels_i = r.levels;
    model.req_first_root_i = r.first_root;
    model.req_first_levels_i = r.first_levels;
    model.req_access_i = static_cast<CData>(r.access);
    model.req_privileged_i = r.privileged;
    model.req_execute_i = r.execute;
    model.req_report_rights_i = r.report_rights;
    model.req_write_protect_i = r.write_protect;
    model.req_accessed_dirty_i = r.accessed_dirty;
    model.req_extended_accessed_i = r.extended_accessed;
    model.req_walk_snoop_i = r.walk_snoop;
  }

  void drive(const WalkInvalidation& i) {
    model.inv_scope_i = static_cast<CData>(i.scope);
    model.inv_domain_i = i.domain.value;
    model.inv_pasid_i = i.pasid.value & 0xF'FFFF;
    model.inv_address_i = (i.address & bit_range(56, 0)) >> kPageShift;
    model.inv_mask_i = i.address_mask;
    model.inv_leaf_only_i = i.leaf_only;
  }

  [[nodiscard]] WalkResponse response() const {
    WalkResponse r;
    r.id = model.rsp_id_o;
    r.fault = static_cast<FaultReason>(model.rsp_fault_o);
    r.level = model.rsp_level_o;
    r.reads = model.rsp_reads_o;
    if (r.fault != FaultReason::kNone) return r;
    r.page = model.rsp_page_o;
    r.readable = model.rsp_readable_o != 0;
    r.writable = model.rsp_writable_o != 0;
    r.snoop = model.rsp_snoop_o != 0;
    r.transient = model.rsp_transient_o != 0;
    r.user = model.rsp_user_o != 0;
    r.executable = model.rsp_executable_o != 0;
    r.supervisor_writable = model.rsp_supervisor_writable_o != 0;
    r.clean = model.rsp_clean_o != 0;
    return r;
  }

  /// The inputs have been driven: shows them during the low half of the clock, that is half a period before their
  /// edge, so that a handshake can be read in the wave at the rising edge at which it happens. The clock stays
  /// high while no edge is performed.
  ///
  /// What is shown depends on the state alone, but for the readiness under `drain`; so nothing has to be evaluated for
  /// the low half, and Verilator is told that it was.
  void settle() {
    if (waves == nullptr && !model.drain_i && !drained && was_low(*model.rootp)) return;
    drained = model.drain_i != 0;
    model.clk_i = 0;
    model.eval();
    if (waves == nullptr) return;
    const std::uint64_t edge = edge_ps();
    if (edge >= period_ps / 2) waves->dump_rtl(edge - period_ps / 2);
  }

  void edge() {
    context.timeInc(1);
    model.clk_i = 1;
    model.eval();
    if (waves != nullptr) waves->dump_rtl(edge_ps());
    if (context.gotError()) throw std::logic_error("an assertion in the RTL walker failed; its message is above");
  }

  /// True if this Verilator keeps the last value of the clock where it is known to be.
  template <typename Root>
  static bool was_low(Root& root) {
    if constexpr (requires { root.__Vtrigrprev__TOP__clk_i; }) {
      root.__Vtrigrprev__TOP__clk_i = 0;
      return true;
    }
    return false;
  }

  WalkerConfig config;
  bool drained = false;  ///< the last edge was one with `drain`
  VerilatedContext context;
  Model model;
  WaveFile* waves = nullptr;
  std::function<std::uint64_t()> edge_ps;
  std::uint64_t period_ps = 0;
};

RtlWalker::RtlWalker(const WalkerConfig& config, std::uint32_t seed, const std::string& name)
    : impl_(std::make_unique<Impl>(config, seed, name)) {
  reset();
}
RtlWalker::~RtlWalker() {
  impl_->model.final();
#if VM_COVERAGE
  // One file for each model that was; `sim/test --coverage` merges them.
  static unsigned models = 0;
  if (const char* directory = std::getenv("VTDSIM_RTL_COVERAGE"))
    impl_->context.coveragep()->write(fmt::format("{}/{}_{}.dat", directory, ::getpid(), models++).c_str());
#endif
}

void RtlWalker::set_waves(WaveFile& waves, std::function<std::uint64_t()> edge_ps, std::uint64_t period_ps) {
  impl_->edge_ps = std::move(edge_ps);
  impl_->period_ps = period_ps;
  waves.attach([this, &waves](void* file) {
    impl_->model.trace(static_cast<VerilatedFstC*>(file), kAllLevels);
    impl_->waves = &waves;
  });
}

unsigned RtlWalker::capacity() const {
  return VTD_RTL_WALKS;
}

void RtlWalker::reset() {
  Model& m = impl_->model;
  impl_->set_profile();
  impl_->drive({.memory_ready = false, .response_ready = false, .update_ready = false});
  // An edge of reset, without waves: it takes no time.
  Verilated::threadContextp(&impl_->context);
  m.clk_i = 0;
  m.rst_ni = 1;
  m.eval();
  m.rst_ni = 0;
  m.eval();
  m.clk_i = 1;
  m.eval();
  m.clk_i = 0;
  m.eval();
  m.rst_ni = 1;
  m.eval();
}

WalkerOutputs RtlWalker::cycle(const WalkerInputs& in) {
  Model& m = impl_->model;
  Verilated::threadContextp(&impl_->context);  // assertions report to the context of the thread
  impl_->drive(in);
  impl_->settle();
  WalkerOutputs out;
  out.request_accepted = in.request != nullptr && m.req_ready_o != 0;
  if (m.mem_req_valid_o != 0) out.memory_request = MemoryRequest{m.mem_req_id_o, m.mem_req_addr_o};
  if (m.upd_req_valid_o != 0)
    out.update_request = UpdateRequest{m.upd_req_id_o, m.upd_req_addr_o, m.upd_req_expected_o, m.upd_req_desired_o};
  if (m.rsp_valid_o != 0) out.response = impl_->response();
  out.invalidation_accepted = in.invalidation != nullptr && m.inv_ready_o != 0;
  impl_->edge();
  return out;
}

bool RtlWalker::quiescent() const {
  return impl_->model.quiescent_o != 0;
}
bool RtlWalker::idle() const {
  return impl_->model.idle_o != 0;
}
bool RtlWalker::invalidating() const {
  return impl_->model.inv_ready_o == 0;
}
std::uint32_t RtlWalker::count(WalkerEvent event) {
  Verilated::threadContextp(&impl_->context);
  impl_->model.event_i = static_cast<CData>(event);
  impl_->model.eval();
  return impl_->model.event_count_o;
}

}  // namespace vtd
