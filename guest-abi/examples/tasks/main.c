/* SPDX-License-Identifier: MIT */
/*
 * A small multitasking guest: four programs in user mode, each with an address space of its own. They come
 * back to the kernel by system calls, by page faults, and when their time is up; the kernel takes the next
 * one, round and round, until all that end have ended. kit/user.h does the entering; spaces are in space.c.
 *
 * The timer is a virtual interrupt: its event takes the CPU from a program that never gives way.
 */
#include "tasks.h"

#include "kit/time.h"

#define TIME_SLICE_NS 2000000u

static struct task {
    const char *name;
    struct space space;
    struct trap_regs regs;
    bool running, failed;
    uint32_t calls, faults, preemptions, turns;
} tasks[PROGRAMS];

static uint32_t left;

/* ---- beginning and end of a task ---- */

/* The image of all programs, for reading; then the stack. The heap comes when it is touched. */
static bool fill_space(struct space *space)
{
    uint64_t image = virt_to_pfn(user_image), pages = (uint64_t)(user_image_end - user_image) >> PAGE_SHIFT;
    for (uint64_t i = 0; i < pages; i++) {
        if (!space_map(space, SPACE_BASE + i * PAGE_SIZE, image + i, MAP_RAM_READ))
            return false;
    }
    for (uint64_t i = 1; i <= STACK_PAGES; i++) {
        if (!space_map_new(space, STACK_END - i * PAGE_SIZE))
            return false;
    }
    return true;
}

static void begin(struct task *task, const struct program *program)
{
    task->name = program->name;
    if (!space_create(&task->space) || !fill_space(&task->space))
        report_error("tasks: no address space for %s", task->name);
    uint64_t offset = (uint64_t)(uintptr_t)program->entry - hypercall_pointer(user_image);
    /* As if it had been called: a function finds its stack 8 bytes off a multiple of 16. */
    task->regs = user_regs((const void *)(SPACE_BASE + offset), (const void *)(STACK_END - 8));
    task->running = true;
    left++;
}

static void end(struct task *task, bool failed)
{
    task->running = false;
    task->failed = failed;
    left--;
    EXPECT(space_destroy(&task->space), "tasks: the tables of %s did not become memory again", task->name);
    printk("tasks: %s ended after %u turns, %u system calls, %u page faults and %u time slices used up; its "
           "tables are plain memory again\n",
           task->name, task->turns, task->calls, task->faults, task->preemptions);
}

/* ---- what brings a task back ---- */

static void say(struct task *task, uint64_t text, uint64_t length)
{
    char line[121];
    if (length >= sizeof(line) || !space_has(&task->space, text, length)) {
        task->regs.rax = (uint64_t)-EFAULT;
        return;
    }
    /* The kernel's L4 has the task's memory too, and it is loaded. */
    memcpy(line, (const void *)(uintptr_t)text, length);
    line[length] = 0;
    printk("%s: %s\n", task->name, line);
    task->regs.rax = 0;
}

static void system_call(struct task *task)
{
    task->calls++;
    switch (task->regs.rax) {
    case CALL_SAY:
        say(task, task->regs.rdi, task->regs.rsi);
        return;
    case CALL_YIELD:
        task->regs.rax = 0;
        return;
    case CALL_EXIT:
        end(task, task->regs.rdi != 0);
        return;
    default:
        task->regs.rax = (uint64_t)-ENOSYS;
    }
}

static void page_fault(struct task *task)
{
    uint64_t address = shared_info->vcpu_info[0].arch.cr2;
    task->faults++;
    if (address >= HEAP_BASE && address < HEAP_BASE + HEAP_PAGES * PAGE_SIZE &&
        space_map_new(&task->space, address & ~(PAGE_SIZE - 1)))
        return;
    printk("tasks: %s touched 0x%lx, which is not its own\n", task->name, address);
    end(task, task != &tasks[NOSY]); /* it is meant to */
}

/* ---- the time a task has ---- */

/* An upcall. One that comes in user mode first brings the kernel back, where it is still pending. */
static void on_event(struct trap_regs *regs)
{
    (void)regs;
    events_dispatch();
}

static void timer_begin(void)
{
    trap_set_handler(TRAP_EVENT, on_event);
    if (callback_register(CALLBACKTYPE_event, 0, trap_event) || event_bind_virq(VIRQ_TIMER) < 0)
        report_error("tasks: there are no timer events here");
}

/* The slice ends in user mode, where the event is let in; until then events are held. */
static void begin_time_slice(void)
{
    events_hold();
    struct vcpu_set_singleshot_timer timer = {.timeout_abs_ns = system_time_ns() + TIME_SLICE_NS};
    EXPECT_RETURN(vcpu_op(VCPUOP_set_singleshot_timer, 0, &timer), 0);
}

static void run(struct task *task)
{
    task->turns++;
    space_load(&task->space);
    begin_time_slice();
    task->regs = user_run(&task->regs);
    switch (task->regs.vector) {
    case TRAP_SYSCALL:
        system_call(task);
        return;
    case TRAP_PAGE_FAULT:
        page_fault(task);
        return;
    case TRAP_EVENT:
        task->preemptions++;
        return;
    default:
        printk("tasks: %s raised exception %lu at 0x%lx\n", task->name, task->regs.vector, task->regs.rip);
        end(task, true);
    }
}

void guest_main(void)
{
    uint32_t failed = 0;
    if (user_mode_init())
        report_error("tasks: there is no user mode here: %ld", user_error);
    timer_begin();
    for (uint32_t i = 0; i < PROGRAMS; i++)
        begin(&tasks[i], &programs[i]);
    printk("tasks: %u programs, each at 0x%lx of an address space of its own\n", left, SPACE_BASE);
    struct task *endless = &tasks[ENDLESS];
    for (uint32_t i = 0; left > endless->running; i = (i + 1) % PROGRAMS) {
        if (tasks[i].running)
            run(&tasks[i]);
    }
    if (endless->running) {
        printk("tasks: only %s is left; it is stopped\n", endless->name);
        end(endless, endless->preemptions == 0);
    }
    for (uint32_t i = 0; i < PROGRAMS; i++)
        failed += tasks[i].failed;
    if (failed)
        report_failure("tasks: %u programs did not end well", failed);
    report_success("tasks: all have ended");
}
