/* SPDX-License-Identifier: MIT */
#include "kit/guest.h"

_Noreturn void kit_main(const struct start_info *info, uint64_t boot_stack);

_Noreturn void kit_main(const struct start_info *info, uint64_t boot_stack)
{
    memory_init(info, boot_stack);
    long error = trap_init();
    if (error)
        report_error("guest: set_trap_table gave %ld", error);
    /* The guest's kernel may use ports, CLI and STI only after this. */
    struct physdev_set_iopl iopl = {1};
    physdev_op(PHYSDEVOP_set_iopl, &iopl);
    guest_main();
    guest_shutdown(SHUTDOWN_poweroff);
}
