/* A plugin for QEMU's emulator that counts the instructions a program executes between its calls of getppid, which
 * serve as marks. Written for QEMU 7.2's plugin interface, version 1; what it uses of it is declared here.
 *
 *   gcc -O2 -shared -fPIC -o count.so count.c
 *   qemu-aarch64 -plugin ./count.so[,functions=on] -d plugin PROGRAM
 *
 * At every mark it prints the instructions since the one before; with functions=on also how many each function took.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GETPPID = 173 }; /* on aarch64 */
enum { INLINE_ADD_U64 = 0 };

struct qemu_plugin_tb;
struct qemu_plugin_insn;
typedef void (*translated)(uint64_t id, struct qemu_plugin_tb *);
typedef void (*called)(uint64_t id, unsigned cpu, int64_t number, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t,
                       uint64_t, uint64_t, uint64_t);
void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t id, translated);
void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *, int operation, void *number, uint64_t addend);
void qemu_plugin_register_vcpu_syscall_cb(uint64_t id, called);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *, size_t);
const char *qemu_plugin_insn_symbol(const struct qemu_plugin_insn *);

__attribute__((visibility("default"))) int qemu_plugin_version = 1;

struct function {
    const char *name;
    uint64_t instructions, before;
    struct function *next;
};

static uint64_t total, before;
static int functions, marks;
static struct function *first;

static struct function *function(const char *name)
{
    struct function *f;
    if (!name)
        name = "?";
    for (f = first; f && strcmp(f->name, name); f = f->next)
        ;
    if (!f && (f = calloc(1, sizeof *f))) {
        f->name = strdup(name);
        f->next = first;
        first = f;
    }
    return f;
}

/* A block of code ends at a branch: all of it is executed. */
static void on_translation(uint64_t id, struct qemu_plugin_tb *block)
{
    size_t count = qemu_plugin_tb_n_insns(block);
    (void)id;
    qemu_plugin_register_vcpu_tb_exec_inline(block, INLINE_ADD_U64, &total, count);
    if (functions) {
        struct function *f = function(qemu_plugin_insn_symbol(qemu_plugin_tb_get_insn(block, 0)));
        qemu_plugin_register_vcpu_tb_exec_inline(block, INLINE_ADD_U64, &f->instructions, count);
    }
}

static void on_call(uint64_t id, unsigned cpu, int64_t number, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e,
                    uint64_t f, uint64_t g, uint64_t h)
{
    (void)id, (void)cpu, (void)a, (void)b, (void)c, (void)d, (void)e, (void)f, (void)g, (void)h;
    if (number != GETPPID)
        return;
    if (marks++)
        fprintf(stderr, "instructions %" PRIu64 "\n", total - before);
    before = total;
    for (struct function *each = first; each; each = each->next) {
        if (each->instructions - each->before && marks > 1)
            fprintf(stderr, "function %d %" PRIu64 " %s\n", marks, each->instructions - each->before, each->name);
        each->before = each->instructions;
    }
}

__attribute__((visibility("default"))) int qemu_plugin_install(uint64_t id, const void *info, int argc, char **argv)
{
    (void)info;
    functions = argc > 0 && !strcmp(argv[0], "functions=on");
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
    qemu_plugin_register_vcpu_syscall_cb(id, on_call);
    return 0;
}
