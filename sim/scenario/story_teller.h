// SPDX-License-Identifier: MIT
// Tells a random story: each member writes steps and keeps the world in step with them.
#pragma once

#include <fmt/format.h>

#include <functional>

#include "sim/scenario/story_world.h"

namespace vtd::sim::story {

/// bb:dd.f
[[nodiscard]] std::string bdf(SourceId id);

class Teller {
 public:
  explicit Teller(std::uint64_t seed) : seed_(seed), dice_(seed) {}
  std::string tell();

 private:
  // ---- topology: platform, devices, first domains ----
  void draw_platform();
  void draw_devices();
  void set_up();
  void add_stream(Device& device, Space& space);
  Space& new_space(Stage stage, unsigned at_least = 3);
  Stage draw_stage();
  [[nodiscard]] std::string device_text(const Device& device) const;

  // ---- steps ----
  template <typename... Arguments>
  void step(fmt::format_string<Arguments...> text, Arguments&&... arguments) {
    steps_ += "  - " + fmt::format(text, std::forward<Arguments>(arguments)...) + '\n';
  }
  void phase(const std::string& name) { steps_ += fmt::format("\n  - phase: {}\n", name); }
  bool map(Space& space, std::uint64_t size, const std::string& rights, bool stream = false);
  void map(Space& space, const Piece& piece);
  void unmap(Space& space);
  void attach(Device& device, const Space& space, std::uint64_t pasid = 0);
  void detach(Device& device, std::uint64_t pasid);
  void start(Device& device);
  void stop(Device& device);
  void dma(Device& device, std::uint64_t pasid, Iova iova, Op op, std::uint64_t pages = 1);
  void pause();

  // ---- actions of the walk ----
  void act();
  void probe();
  void probe(Device& device, std::uint64_t pasid);
  void probe_preserved();
  void attach_idle();
  void detach_one();
  void replace_one();
  void map_more();
  void unmap_some();
  void pasid_more();
  void refuse_simple();
  void refuse_preserved();
  void refuse_restored(std::uint64_t session);
  void live_update();
  bool preserve(std::vector<Device*>& kept);
  void reset();
  void finish();

  [[nodiscard]] std::vector<Device*> devices(const std::function<bool(const Device&)>& wanted);
  [[nodiscard]] std::vector<Space*> mutable_spaces(const Device& device);
  [[nodiscard]] bool chunk(const Space& space, Piece& piece, std::uint64_t align);
  [[nodiscard]] Iova place(Space& space);
  [[nodiscard]] bool preservable(const Device& device);

  std::uint64_t seed_;
  Dice dice_;
  World world_;
  std::string platform_, steps_;
  std::string profile_ = "linux";
  bool superpages_ = true;
  unsigned boot_delay_us_ = 100;
  std::map<std::pair<std::string, std::string>, std::uint64_t> faults_;  ///< device, reason -> how many
  unsigned domains_ = 0, memories_ = 0, sessions_ = 0, updates_ = 0;
  std::string memory_;                         ///< that pieces are cut from
  std::map<std::string, std::uint64_t> used_;  ///< bytes of each memory
  std::uint64_t unfinished_ = 0;               ///< session that was taken over
  std::set<std::string> preserved_memories_;
  std::vector<std::string> console_;  ///< what the firmware must have said
  bool cpu_away_ = false;             ///< between reboot and ready
  unsigned drops_ = 0;                ///< units that a shutdown switched off
};

}  // namespace vtd::sim::story
