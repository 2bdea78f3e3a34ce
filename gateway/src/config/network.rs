//! Address ranges: which clients a route takes or refuses, and which proxies are believed.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net};

use super::reader::Field;
use crate::limits;

/// A list of ranges, or a lone one.
pub(super) fn read_list(field: &Field<'_>) -> Vec<IpNet> {
    let entries = field.one_or_list();
    let (count, count_max) = (entries.len(), limits::NETWORKS_COUNT);
    if count > count_max {
        let message = format!("`{}` has {count} entries", field.path());
        field.fail::<()>(message, "too many", format!("at most {count_max}"));
        return Vec::new();
    }
    entries.iter().filter_map(read).map(canonical).collect()
}

/// A range of IPv4 addresses mapped into IPv6 is that of IPv4: clients are compared in that form.
fn canonical(network: IpNet) -> IpNet {
    let IpNet::V6(v6) = network else {
        return network;
    };
    let bits = v6.prefix_len().checked_sub(96);
    let mapped = v6.addr().to_ipv4_mapped().zip(bits);
    let mapped = mapped.and_then(|(address, bits)| Ipv4Net::new(address, bits).ok());
    mapped.map_or(network, IpNet::V4)
}

/// One range, or an address as the range of itself.
pub(super) fn read(field: &Field<'_>) -> Option<IpNet> {
    let text = field.string()?;
    let network = text.parse::<IpNet>().ok();
    let network = network.or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from));
    let Some(network) = network else {
        let message = format!("\"{}\" is not an address range", text.escape_debug());
        return field.fail(
            message,
            "not a range",
            "such as \"10.0.0.0/8\", \"2001:db8::/32\" or one address",
        );
    };
    if network.trunc() != network {
        // 10.1.2.3/8 is a range or an address: which one was meant decides who gets in.
        let message = format!("{network} has bits set beyond its prefix");
        let help = format!(
            "write \"{}\" for the range, or \"{}\" for one address",
            network.trunc(),
            network.addr()
        );
        return field.fail(message, "a range or one address?", help);
    }
    Some(network)
}
