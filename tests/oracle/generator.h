// SPDX-License-Identifier: MIT
// Random cases that are mostly valid: tables, changes with the invalidations that they need, DMA. No code of the model
// or the firmware builds these tables.
#pragma once

#include <cstdint>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "tests/oracle/command.h"

namespace vtd::oracle {

enum class Mode : std::uint8_t { kLegacy, kScalable, kFirstStage };

struct GeneratorConfig {
  Mode mode = Mode::kLegacy;
  bool four_levels = true;    ///< beside three; first-stage tables always have four
  unsigned width = 48;        ///< HAW and MGAW
  unsigned dmas = 150;        ///< of one case
  bool caching_mode = false;  ///< absent context entries may be cached, tagged with domain-id 0
};

/// What memory holds before every case: zeros for tables, then data in which every 16 bytes are a descriptor that makes
/// the e1000 write a status back.
[[nodiscard]] std::vector<std::uint8_t> initial_arena();

class Generator {
 public:
  Generator(const GeneratorConfig& config, std::uint64_t seed);
  /// One case. The same seed gives the same case.
  [[nodiscard]] Case make();

 private:
  struct Mapping {
    std::uint64_t iova = 0;
    unsigned level = 1;        ///< of the leaf
    std::uint64_t entry = 0;   ///< address of the leaf entry
    std::uint64_t offset = 0;  ///< of a data page within the page
    std::string name;          ///< for the histogram
  };
  struct Domain {
    std::uint16_t id = 0;
    unsigned levels = 4;
    std::uint64_t root = 0;
    std::vector<Mapping> mappings;
  };
  /// How a device is attached.
  struct Context {
    std::size_t domain = 0;  ///< index
    std::uint16_t id = 0;    ///< domain-id in the entry
    bool pass_through = false;
    std::string broken;       ///< what is wrong with it; empty: nothing
    std::uint64_t entry = 0;  ///< address of the entry that names the domain
  };

  // ---- random ----
  std::uint64_t below(std::uint64_t limit) { return random_() % limit; }
  bool chance(unsigned percent) { return below(100) < percent; }

  // ---- commands ----
  void memory(std::uint64_t address, std::uint64_t value);
  void write(std::uint64_t offset, std::uint64_t value, unsigned bytes = 4);
  void read(std::uint64_t offset, unsigned bytes);
  void read_faults();

  // ---- tables ----
  std::uint64_t new_page();
  std::uint64_t data_page();
  void build();
  void new_domain();
  void map(Domain& domain);
  [[nodiscard]] std::uint64_t table_entry(std::uint64_t page) const;
  [[nodiscard]] std::uint64_t leaf_entry(std::uint64_t page, unsigned level);
  void attach(unsigned device);
  void attach_legacy(unsigned device, Context& context);
  void attach_scalable(unsigned device, Context& context);

  // ---- what happens ----
  void mutate();
  void mutate_leaf(Domain& domain);
  void mutate_context();
  void mutate_middle(Domain& domain);
  void dma();
  void disturb();
  void set_root(std::uint64_t root);
  void lose_root();
  void switch_queue();

  // ---- invalidations ----
  void invalidate_page(const Domain& domain, std::uint64_t iova, unsigned level, bool leaf_only);
  void invalidate_domain(const Domain& domain);
  void invalidate_context(unsigned device, std::uint16_t old_domain);
  void invalidate_all();
  void submit(std::uint64_t low, std::uint64_t high);
  void bad_descriptor();
  void iotlb(std::uint64_t granularity, std::uint16_t domain, std::uint64_t address, std::uint64_t mask,
             bool leaf_only);

  GeneratorConfig config_;
  std::uint64_t seed_;
  std::mt19937_64 random_;
  Case case_;
  std::map<std::uint64_t, std::uint64_t> shadow_;  ///< memory as written
  std::uint64_t next_page_ = 0;
  std::vector<Domain> domains_;
  std::vector<Context> contexts_;
  std::uint64_t root_ = 0;
  std::uint64_t queue_ = 0;
  std::uint64_t status_ = 0;
  std::uint64_t tail_ = 0;
  bool queued_ = false;
  std::string invalidation_ = "none";
};

}  // namespace vtd::oracle
